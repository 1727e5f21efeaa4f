"""Where a data set comes from (Section 4.1).

- The stages: `prepare.py` writes the lists, `collect.py` gathers the media.
- The sources: `youtube` has the paper's clips, `demo` synthesizes clips, `local.py` takes the
  user's own.
- Reports: `clip_report.py` counts what is available, `check_lists.py` examines lists.
"""
