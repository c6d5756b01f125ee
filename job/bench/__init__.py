"""`recloop bench`: the job against the model alone and against its peers, on the same machine in one run.

One file a part. Peers stand in `job.bench.peers`, each a program of its own.
"""
