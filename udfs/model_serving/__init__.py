"""The operator score-candidates: models asked in micro-batches, within a deadline, and replaced while the job runs."""
