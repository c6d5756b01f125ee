"""`recloop bench`: the job compared with the model alone and with its peers, on the same machine in one run.

Each part has its own file. The peers are in `job.bench.peers`, each a separate program.
"""
