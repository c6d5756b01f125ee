"""The operators' use of PyFlink: keyed state, metrics, side-output tags and a worker's life."""
