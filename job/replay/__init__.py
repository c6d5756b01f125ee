"""The replay of a data set into the behaviour log."""
