"""The job's settings: groups, sources, checks, and the table that documents them."""
