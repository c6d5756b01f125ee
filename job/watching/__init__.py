"""The view of an operator: the dashboard, the alert rules and the runbook, made from the metrics' definitions."""
