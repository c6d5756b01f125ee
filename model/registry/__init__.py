"""The registry of models: immutable versions and pointers to the ones to serve."""
