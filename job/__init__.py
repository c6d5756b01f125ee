"""The job's topology, settings and sinks, and the recloop command."""
