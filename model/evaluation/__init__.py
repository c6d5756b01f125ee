"""Evaluation of recommenders: splits, measures and comparisons."""
