"""The operator update-lists and the rules by which one behaviour changes one user's list."""
