"""Benches: run by hand, figures go to docs/bench.md."""
