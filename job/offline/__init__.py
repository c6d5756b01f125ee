"""Offline scoring of all users without a cluster, with the profiles, the rules and the model of the job.

Its command is `recloop score`. A data set is split by the hash of the user (`split`), the parts are scored by one
process or several (`score`), and joined (`run`).
"""
