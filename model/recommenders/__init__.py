"""The recommenders that can be trained, one a file; `model.kinds` names them and says what a file holds."""
