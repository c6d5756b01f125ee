"""The recommenders that can be trained, one per file; `kinds` lists them and defines the content of a file."""
