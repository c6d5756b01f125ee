"""The functions behind the `recloop` command, one file a subject."""
