"""Every user's items at once, without a cluster: with the profiles, the rules and the model of the job.

`recloop score` is its command. A data set is split by the hash of the user (`split`), the parts are scored by one
process or several (`score`), and put together (`run`).
"""
