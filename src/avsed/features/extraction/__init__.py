"""Machinery of the stage `extract`; none of it is the paper's.

- The stage: `extract.py` plans, computes and publishes the features of all clips.
- For speed: `batching.py` decodes ahead and runs networks on batches across clips.
- For files: `shard_plan.py` assigns clips to shards, `check.py` verifies shards, `plot.py` draws
  the features of one clip.
"""
