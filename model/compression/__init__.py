"""Compression of a bundle: methods, steps, and what each costs and saves."""
