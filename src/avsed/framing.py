"""Seconds, samples, frames: the only place that rounds time (Section 4.2).

A clip of 10 s has 604 spectral frames. The CNN pools them in time by 4, to 151 frames; every
feature of the network lies on these. Frame k covers the time from k to k + 1 frame hops.
"""

import math
from fractions import Fraction

CLIP_DURATION = 10.0  # seconds

# The paper says 22.1 kHz. 22,050 Hz would give 603 spectral frames; its 604 need 22,100 Hz.
SPECTRAL_SAMPLE_RATE = 22_100  # Hz
SPECTRAL_HOP_LENGTH = 366  # samples
TIME_POOLING = 4  # spectral frames per frame: the CNN pools by 2 twice

N_SPECTRAL_FRAMES = 1 + int(CLIP_DURATION * SPECTRAL_SAMPLE_RATE) // SPECTRAL_HOP_LENGTH
N_FRAMES = N_SPECTRAL_FRAMES // TIME_POOLING

IMAGE_RATE = Fraction(SPECTRAL_SAMPLE_RATE, TIME_POOLING * SPECTRAL_HOP_LENGTH)  # 15.1 per second
FRAME_HOP = float(1 / IMAGE_RATE)  # seconds, 0.06624


def n_samples(duration: float, sample_rate: int) -> int:
    """Convert seconds to the nearest whole number of samples."""
    return round(duration * sample_rate)


def valid_frames(duration: float) -> int:
    """Count the frames that a clip's media reach into.

    Args:
        duration: seconds of media; more than `CLIP_DURATION` counts as `CLIP_DURATION`.

    Returns:
        1 to `N_FRAMES`.

    Raises:
        ValueError: if the duration is not positive.
    """
    if not duration > 0:
        raise ValueError(f"duration is {duration}; a clip lasts longer than 0 s")
    # A container's duration is rounded (to a millisecond, often), so a frame that it reaches
    # into by less than that is rounding, not media.
    reached = math.ceil(round(duration / FRAME_HOP, 2))
    return min(max(reached, 1), N_FRAMES)


def frame_onset(frame: int) -> float:
    """Give the second at which a frame starts."""
    return frame * FRAME_HOP
