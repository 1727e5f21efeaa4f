"""Mean teacher training (Sections 2.3 and 4.3.1).

- The paper's: `mean_teacher.py` has the costs, one training step and the schedules; `batches.py`
  the batches, their targets and the standardization of spectral bands.
- For speed: `seed_group.py` takes the steps of several seeds together, `loop.py` runs groups of
  seeds side by side, `distributed.py` spreads them over machines.
- For files: `train.py` is the stage, `curves.py` has the learning curves; checkpoints are in
  `loop.py`.
"""
