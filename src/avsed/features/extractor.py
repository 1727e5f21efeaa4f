"""What the three kinds of features have in common: the shape of their recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A recipe that turns one clip's media into features.

    Attributes:
        kind: spectral, auditory or visual.
        stream: what it reads of the media.
        extract: path and duration (seconds) of a clip to its features (n_frames, dims), padded
            to the frames of 10 s; raises DecodeError.
        provenance: whatever decides the values: parameters and the hash of the weights.
    """

    kind: str
    stream: Literal["audio", "video"]
    extract: Callable[[Path, float], NDArray[np.float32]]
    provenance: Mapping[str, str | int | float]
