"""The results page, reports/index.html; none of it is in the paper.

- The stage: `illustrate.py`.
- Analysis: `analysis.py` of one variant, `boundary_errors.py` of onsets and offsets,
  `example_clips.py` selects the clips that are shown.
- Files: `figures.py` draws, `figure_data.py` writes the same numbers for `dvc plots`, `page.py`
  and `page.html` make the page.
"""
