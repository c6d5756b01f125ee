"""A model that keeps learning: its rounds, the training of a candidate, and the gate that it has to pass."""
