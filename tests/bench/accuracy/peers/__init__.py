"""The peers' side, run in their environment: `python -m tests.bench.accuracy.peers FOLDER` answers a question."""
