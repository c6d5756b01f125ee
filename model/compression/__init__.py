"""Compression of a bundle: the methods, their steps, and the measured loss and gain of each."""
