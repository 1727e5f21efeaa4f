"""Mean teacher training (Sections 2.3 and 4.3.1).

- The paper's: `mean_teacher.py` has the costs, one training step and the schedules; `batches.py`
  has the batches, their targets and the statistics of the mel bands.
- Not in the paper: `strong.py` has strongly labeled clips to train on.
- The stage: `train.py` trains all seeds of a variant, several side by side.
- For speed: `seed_group.py` holds the networks of seeds that train together; `distributed.py`
  spreads seeds over machines.
- For files: `seed_files.py` has weights and checkpoints in the store; `curves.py` has the learning
  curves.
"""
