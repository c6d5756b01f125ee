"""`recloop evaluate --live`: what freshness is worth, through the job on a cluster."""
