"""Data sets: readers of public formats, the prepared folder, and a generator of synthetic behaviour.

Nothing here imports torch, so that a command which only reads a data set starts at once.
"""
