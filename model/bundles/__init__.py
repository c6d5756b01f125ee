"""Bundles: a trained recommender and everything needed to serve it, in one checked folder."""
