"""The paper's data: the lists of DCASE 2018 task 4, and its clips from YouTube (Section 4.1).

- Lists: `lists.py` finds the published lists and parses clip names.
- Download: `download.py` is the entry, `scheduling.py` the queue with rate limit and retries,
  `fetching.py` downloads one video, `cutting.py` cuts one clip, `failures.py` classifies errors.
- State: `ledger.py` records clips across runs, `recovery.py` reuses clips of the last commit.
"""
