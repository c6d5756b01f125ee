"""The operator score-candidates: which model is asked, and when: variants, swaps, micro-batches, deadlines, shedding.

A model's inputs and the candidates made of its answers are in `udfs.scoring`, which knows no Flink and no deadline.
"""
