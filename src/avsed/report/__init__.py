"""The metrics table (Section 5, Table 3), and the results page in `page`.

- The paper's: `best_seeds.py` chooses and averages seeds, `rows.py` has the rows of the table.
- Not in the paper: `bootstrap.py` computes confidence intervals, `postprocessing.py` compares the
  median filter with boxes.
- For files: `summarize.py` is the stage; it writes the table as JSON and as Markdown.
"""
