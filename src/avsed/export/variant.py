"""The trained networks of a variant, without the extractors of their features."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from avsed.errors import AvsedError
from avsed.framing import TIME_POOLING
from avsed.model.card import ModelCard, read_model_card
from avsed.model.crnn import Crnn
from avsed.model.decisions import Decisions, fixed_decisions, read_decisions
from avsed.model.files import load_student, seed_paths
from avsed.params import PAPER_POSTPROCESS, Spectral


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A trained variant.

    Attributes:
        card: features, classes and sizes.
        students: seed to network, on the CPU; their scores are averaged.
        decisions: thresholds and median filter.
    """

    card: ModelCard
    students: Mapping[int, Crnn]
    decisions: Decisions

    @torch.inference_mode()
    def score(self, features: Mapping[str, Tensor], valid_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Average the scores of all students.

        Args:
            features: kind to (B, L, M) spectral or (B, T, dims) pretrained features.
            valid_frames: (B,) frames of each clip, from 1 to T; the rest is padding.

        Returns:
            (B, T, K) frame scores and (B, K) clip scores, in [0, 1].
        """
        kind, of_kind = next(iter(features.items()))
        n_frames = of_kind.shape[1] // (TIME_POOLING if kind == "spectral" else 1)
        mask = torch.arange(n_frames) < valid_frames[:, None]
        if not self.card.mask_padding:
            mask = torch.ones_like(mask)
        scores = [student(features, mask) for student in self.students.values()]
        frame_scores, clip_scores = zip(*scores, strict=True)
        return torch.stack(frame_scores).mean(0), torch.stack(clip_scores).mean(0)


def load_variant(model_dir: Path, seed: int | None) -> Variant:
    """Load the students of a variant.

    Args:
        model_dir: what `train_variant` wrote; without decisions.json, the paper's threshold and
            filter are used.
        seed: of the only student to load; None for all.

    Raises:
        AvsedError: if there is no model, or no such seed.
    """
    card = read_model_card(model_dir)
    paths = seed_paths(model_dir)
    if not paths:
        raise AvsedError(
            f"{model_dir}: has no seeds/seed-NN.safetensors; run `dvc repro train@{model_dir.name}`"
        )
    if seed is not None and seed not in paths:
        raise AvsedError(
            f"--seed {seed}: {model_dir} has no such seed; use one of {', '.join(map(str, paths))}"
        )
    chosen = paths if seed is None else {seed: paths[seed]}
    decisions = read_decisions(model_dir, card.classes)
    return Variant(
        card=card,
        students={
            seed: load_student(card, path, torch.device("cpu")) for seed, path in chosen.items()
        },
        decisions=decisions or fixed_decisions(card.classes, PAPER_POSTPROCESS),
    )


def spectral_params(card: ModelCard) -> Spectral:
    """Return the parameters of the spectral features that a variant was trained on.

    Raises:
        AvsedError: if the card lacks them.
    """
    provenance = card.provenance.get("spectral", {})
    named = {name: provenance.get(name) for name in Spectral.model_fields}
    try:
        return Spectral.model_validate(named)
    except ValidationError as error:
        reason = error.errors()[0]
        raise AvsedError(
            f"model.json: lacks the parameters of its spectral features ({reason['loc'][0]}: "
            f"{reason['msg']}); train the model again"
        ) from None
