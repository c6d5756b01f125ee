"""The subjects of the `recloop` command, a module each; heavy imports happen when a command runs."""
