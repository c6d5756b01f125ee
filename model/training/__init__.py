"""Training of sequence models, alone or in several processes."""
