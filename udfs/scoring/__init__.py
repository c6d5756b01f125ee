"""Scoring of one batch: inputs, device, kept states and score cache; offline scoring uses it too."""
