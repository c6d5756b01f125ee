"""The parts of the topology: operators and their rules, streams, sinks, placement."""
