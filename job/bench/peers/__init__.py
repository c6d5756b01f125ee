"""The peers: separate programs that do the job's work as their documentation shows it, and with our batching."""

from pathlib import Path

PACKAGE = Path(__file__).parent
"""The folder of the peers' programs."""
