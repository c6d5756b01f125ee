"""The content of checkpoints and savepoints, read without a jar, a running job or a cluster."""
