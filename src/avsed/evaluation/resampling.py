"""Resamples of the test clips, the same for all metrics and systems. Not in the paper.

A resample is a row of weights: how often each clip is drawn. It has as many clips as there are,
drawn with replacement.
"""

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
N_PSDS_RESAMPLES = 200  # the first of them: PSDS takes a thousand times as long as F1
SEED = 0


def draw_resamples(n_clips: int) -> NDArray[np.int64]:
    """Draw clips with replacement; the result depends on the number of clips only.

    Returns:
        (`N_RESAMPLES`, n_clips) how often each clip is drawn; rows sum to `n_clips`.
    """
    if not n_clips:  # two variants may have no clip in common
        return np.zeros((N_RESAMPLES, 0), np.int64)
    share = np.full(n_clips, 1.0 / n_clips)
    return np.random.default_rng(SEED).multinomial(n_clips, share, size=N_RESAMPLES)
