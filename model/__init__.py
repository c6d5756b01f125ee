"""Data sets, recommenders, training, evaluation and bundles; no Flink."""
