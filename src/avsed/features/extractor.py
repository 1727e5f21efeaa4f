"""What all kinds of features have in common: a front end, a network, and what made them."""

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
    """One clip, ready for the network.

    Attributes:
        rows: (n, ...) what the network sees, each once.
        index: (m,) the row of each of the clip's first m frames; the frames after them are 0.
    """

    rows: Tensor
    index: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a kind of features is.

    Attributes:
        kind: spectral, auditory, visual, or one that was added, such as visual_efficientnet.
        stream: what it is made from.
        n_frames: frames of 10 s.
        dims: values of a frame.
        provenance: whatever decides the values: parameters and the hash of the weights.
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
    """A recipe that turns clips' media into features.

    Decoding and front end run beside the network, a clip at a time; the network runs on full
    batches, which may hold rows of several clips.

    Attributes:
        spec: what it makes.
        sample_rate: of the audio that it takes, in Hz; None if it takes pictures.
        each_image: the front end of a picture; None if it takes audio.
        prepare: decoded media and the clip's duration (seconds) to the network's inputs.
        embed: (batch_size, ...) rows to their features, (batch_size, dims).
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
    """How to set up one kind of features, here or on another machine.

    Attributes:
        make_extractor: a function of the kind's module, or a method of an added network.
        params: of the kind.
    """

    make_extractor: Callable[[Any], Extractor]
    params: Section

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules whose code decides the features."""
        owner = getattr(self.make_extractor, "__self__", self.make_extractor)
        return ("avsed.features.extraction.batching", owner.__module__)

    @property
    def weights_stamp(self) -> tuple[int, int] | None:
        """What tells that a file of weights was replaced; None where there is none."""
        path = Path(getattr(self.params, "weights", ""))
        if not path.is_file():
            return None
        return path.stat().st_mtime_ns, path.stat().st_size


def join_front_ends(
    extractors: Mapping[str, Extractor],
) -> Callable[[Image], dict[str, Tensor]] | None:
    """Give each picture to all kinds that take pictures; None where there is none."""
    front_ends = {kind: one.each_image for kind, one in extractors.items() if one.each_image}
    if not front_ends:
        return None
    return lambda image: {kind: front_end(image) for kind, front_end in front_ends.items()}


def prepare_each(
    extractors: Mapping[str, Extractor], media: Media[dict[str, Tensor]], duration: float
) -> dict[str, ClipInputs | str]:
    """Make the networks' inputs of one clip.

    Args:
        extractors: by kind.
        media: decoded, its pictures by the joint front end of these extractors.
        duration: of the clip, in seconds.

    Returns:
        Kind to inputs, or to the reason why there are none.
    """
    prepared: dict[str, ClipInputs | str] = {}
    for kind, extractor in extractors.items():
        if extractor.spec.stream in media.errors:
            prepared[kind] = media.errors[extractor.spec.stream]
            continue
        of_kind: Media[Any] = media
        if extractor.each_image:
            images = [image[kind] for image in media.images]
            of_kind = replace(of_kind, images=images)
        prepared[kind] = extractor.prepare(of_kind, duration)
    return prepared


def hold_images(media: Media[Tensor], duration: float) -> ClipInputs:
    """Give each frame of a clip its picture; the last one is held until the clip ends."""
    held = np.minimum(np.arange(valid_frames(duration)), len(media.image_index) - 1)
    return ClipInputs(rows=torch.stack([*media.images]), index=media.image_index[held])
