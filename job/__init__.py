"""The topology, its settings and sinks, and the recloop command."""
