"""From scores to metrics (Sections 2.2 and 4.3.2).

- The paper's: `postprocess.py` has decisions and events, `metrics.py` the three F1 scores,
  `system.py` the metrics of one system on one split.
- Not in the paper: `psds.py`, `psds_resampling.py` for its intervals, `boxes.py` in place of the
  median filter, and the tuned thresholds of `system.py`.
- For files: `evaluate.py` is the stage, `counts.py` keeps the counts by clip that the report
  resamples; `resampling.py` draws the clips.
"""
