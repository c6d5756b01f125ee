"""The things that nothing needs any more: found, each with the reason, and removed."""
