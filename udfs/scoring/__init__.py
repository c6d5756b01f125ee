"""Scoring of one batch of histories by one model: its inputs, device, kept states and score cache.

The operator that chooses the model and the batch is in `udfs.model_serving`; offline scoring uses this package alone.
"""
