"""The time grid: convert seconds to samples and frames (Section 4.2).

A clip of 10 s has 604 spectral frames. The CNN pools 4 of them into each of 151 frames, and all
other features have these 151 frames too. Frame k covers the time from k to k + 1 frame hops. Only
this module rounds times.
"""

import math
from fractions import Fraction

CLIP_DURATION = 10.0  # seconds

# The paper's 22.1 kHz are 22,100 Hz: the usual 22,050 Hz give 603 spectral frames, not its 604.
SPECTRAL_SAMPLE_RATE = 22_100  # Hz
SPECTRAL_HOP_LENGTH = 366  # samples
TIME_POOLING = 4  # spectral frames per frame: two blocks of the CNN pool by 2

N_SPECTRAL_FRAMES = 1 + int(CLIP_DURATION * SPECTRAL_SAMPLE_RATE) // SPECTRAL_HOP_LENGTH
N_FRAMES = N_SPECTRAL_FRAMES // TIME_POOLING

IMAGE_RATE = Fraction(SPECTRAL_SAMPLE_RATE, TIME_POOLING * SPECTRAL_HOP_LENGTH)  # 15.1 per second
FRAME_HOP = float(1 / IMAGE_RATE)  # seconds, 0.06624


def n_samples(duration: float, sample_rate: int) -> int:
    """Convert seconds to the nearest number of samples."""
    return round(duration * sample_rate)


def valid_frames(duration: float) -> int:
    """Count the frames that a clip covers, also in part.

    Args:
        duration: seconds; more than `CLIP_DURATION` counts as `CLIP_DURATION`.

    Returns:
        1 to `N_FRAMES`.

    Raises:
        ValueError: if the duration is not positive.

    Examples:
        >>> valid_frames(10.0), valid_frames(0.07)
        (151, 2)
    """
    if not duration > 0:
        raise ValueError(f"duration is {duration}; a clip lasts longer than 0 s")
    # Containers round durations, often to a millisecond. A clip that reaches into a frame by less
    # than the rounding does not cover it.
    covered = math.ceil(round(duration / FRAME_HOP, 2))
    return min(max(covered, 1), N_FRAMES)


def event_frames(onset: float, offset: float) -> slice:
    """Return the frames that an event covers, also in part, as in the DCASE baselines.

    Args:
        onset: seconds from the start of the clip, 0 or more.
        offset: seconds, after the onset.

    Returns:
        At least one of the `N_FRAMES` frames, unless the event starts after them.

    Examples:
        >>> event_frames(0.07, 0.2)  # 66.24 ms to 198.7 ms are frames 1 and 2
        slice(1, 4, None)
    """
    # Rounded like durations in `valid_frames`: an event that reaches into a frame by a hundredth of
    # it does not cover the frame.
    first = math.floor(round(onset / FRAME_HOP, 2))
    stop = math.ceil(round(offset / FRAME_HOP, 2))
    return slice(first, min(max(stop, first + 1), N_FRAMES))


def frame_onset(frame: int) -> float:
    """Convert a frame to the second at which it starts.

    Examples:
        >>> round(frame_onset(10), 4)  # 10 x 66.24 ms
        0.6624
    """
    return frame * FRAME_HOP
