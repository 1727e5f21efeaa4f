"""Describe an exported variant: what its inputs are, and how its scores become events."""

import json
from collections.abc import Mapping
from pathlib import Path

from avsed import __version__
from avsed.export.variant import Variant
from avsed.features.networks import log_mel_examples as examples
from avsed.features.spectral import N_MELS
from avsed.framing import (
    CLIP_DURATION,
    FRAME_HOP,
    IMAGE_RATE,
    SPECTRAL_HOP_LENGTH,
    SPECTRAL_SAMPLE_RATE,
)
from avsed.model.card import ModelCard
from avsed.variants import family

_Description = Mapping[str, str | int | float]

_LOG_MEL: _Description = {
    "sample_rate": SPECTRAL_SAMPLE_RATE,  # Hz
    "channels": "mean",
    "normalization": "divided by the peak of the clip",
    "padding": f"zeros at the end, to {CLIP_DURATION:g} s",
    "window": "hann",
    "centered": "window k has its middle at k hops",
    "hop_length": SPECTRAL_HOP_LENGTH,  # samples
    "n_mels": N_MELS,
    "mel_scale": "slaney",
    "values": "dB of magnitudes relative to 1, at least log_floor",
}
_LOG_MEL_EXAMPLES: _Description = {
    "sample_rate": examples.SAMPLE_RATE,  # Hz
    "channels": "mean",
    "normalization": "none",
    "window": "hann",
    "window_length": examples.WINDOW_LENGTH,  # samples
    "hop_length": examples.HOP_LENGTH,  # samples
    "n_mels": examples.N_MELS,
    "mel_scale": "htk",
    "lowest_frequency": examples.MEL_RANGE[0],  # Hz
    "highest_frequency": examples.MEL_RANGE[1],  # Hz
    "frames_per_example": examples.EXAMPLE_FRAMES,
}
_IMAGES: _Description = {
    "images_per_second": float(IMAGE_RATE),
    "image": "the one nearest to the onset of each frame",
}


def describe_variant(variant: Variant, model_dir: Path) -> dict[str, str]:
    """Return the texts for `metadata_props`, all JSON except for the version and the model card.

    Args:
        variant: exported.
        model_dir: its folder; the model card is its README.md, if there is one.
    """
    card = variant.card
    described: dict[str, object] = {
        "classes": card.classes,
        "clip_duration": CLIP_DURATION,  # seconds
        "frame_hop": FRAME_HOP,  # seconds
        "decisions": variant.decisions.model_dump(mode="json"),
        "features": _describe_features(card),
        "mask_padding": card.mask_padding,
        "seeds": [*variant.students],
    }
    metadata = {key: json.dumps(value) for key, value in described.items()}
    metadata["avsed"] = __version__
    readme = model_dir / "README.md"
    if readme.is_file():
        metadata["model_card"] = readme.read_text("utf-8")
    return metadata


def _describe_features(card: ModelCard) -> dict[str, object]:
    """Return the dims, front end and provenance of each kind, which has the weights' licence."""
    return {
        kind: {
            "dims": dims,
            "front_end": _front_end_of(kind),
            "provenance": card.provenance.get(kind, {}),
        }
        for kind, dims in zip(card.kinds, card.feature_dims, strict=True)
    }


def _front_end_of(kind: str) -> _Description:
    if kind == "spectral":
        return _LOG_MEL
    return _LOG_MEL_EXAMPLES if family(kind) == "auditory" else _IMAGES
