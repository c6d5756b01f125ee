"""Deployment of the job to a cluster, and the status of what was deployed."""
