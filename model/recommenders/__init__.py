"""The recommenders that can be trained, one a file; `kinds` names them and says what a file holds."""
