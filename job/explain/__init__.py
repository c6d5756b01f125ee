"""The explanation of a list: recomputed from the log and the recorded inputs, item by item."""
