"""The commands of `recloop`, a module a subject; heavy imports happen when a command runs."""
