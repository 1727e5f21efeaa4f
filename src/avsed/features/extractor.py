"""The interface of all kinds of features: a front end, a network and their provenance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsed.dataset.media import Image, Media, Stream
from avsed.framing import valid_frames
from avsed.params import Section


@dataclass(frozen=True, kw_only=True)
class ClipInputs:
    """One clip's inputs to the network.

    Attributes:
        rows: (n, ...) distinct inputs.
        index: (m,) the output for each of the clip's first m frames; the frames after them are 0.
            A row has one output unless `Extractor.embed` returns several per row; the outputs of
            all rows of the clip are counted in order.
    """

    rows: Tensor
    index: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The specification of a kind of features.

    Attributes:
        kind: spectral, auditory, visual, or a further one, such as visual_efficientnet.
        stream: the stream that it is computed from.
        n_frames: frames of 10 s.
        dims: values of a frame.
        provenance: everything the values depend on: parameters and the hash of the weights.
    """

    kind: str
    stream: Stream
    n_frames: int
    dims: int
    provenance: Mapping[str, str | int | float]

    @property
    def bytes_per_clip(self) -> int:
        """Bytes of a clip's features in float16, before compression."""
        return 2 * self.n_frames * self.dims


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """The functions that turn a clip's media into features of one kind.

    Decoding and front end run in parallel with the network, one clip at a time; the network runs
    on full batches, which may contain rows of several clips.

    Attributes:
        spec: its features.
        sample_rate: of its audio, in Hz; None if it uses images.
        each_image: the front end of an image; None if it uses audio.
        prepare: decoded media and the clip's duration (seconds) to the network's inputs.
        embed: (batch_size, ...) rows to their outputs, (batch_size, dims), or (batch_size, n,
            dims) for n outputs per row.
        batch_size: rows.
    """

    spec: FeatureSpec
    sample_rate: int | None
    each_image: Callable[[Image], Tensor] | None
    prepare: Callable[[Media[Any], float], ClipInputs]
    embed: Callable[[Tensor], Tensor]
    batch_size: int


@dataclass(frozen=True)
class Recipe:
    """What makes the extractor of a kind of features, here or on another machine.

    Attributes:
        kind: the name that its features get.
        make_extractor: a function of the network's module.
        params: of the kind.
    """

    kind: str
    make_extractor: Callable[[Any], Extractor]
    params: Section

    def build(self) -> Extractor:
        """Make the extractor, which can take seconds."""
        extractor = self.make_extractor(self.params)
        return replace(extractor, spec=replace(extractor.spec, kind=self.kind))

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules whose code the features depend on."""
        return ("avsed.features.extraction.batching", self.make_extractor.__module__)

    @property
    def weights_stamp(self) -> tuple[int, int] | None:
        """Modification time and size of the weights file; None if there is no file."""
        path = Path(getattr(self.params, "weights", ""))
        if not path.is_file():
            return None
        return path.stat().st_mtime_ns, path.stat().st_size


def hold_images(media: Media[Tensor], duration: float) -> ClipInputs:
    """Return the image of each frame of a clip; the last one is held until the clip ends."""
    held = np.minimum(np.arange(valid_frames(duration)), len(media.image_index) - 1)
    return ClipInputs(rows=torch.stack([*media.images]), index=media.image_index[held])
