"""The checks of `recloop doctor`: each yields what it found, with the remedy where something is wrong."""
