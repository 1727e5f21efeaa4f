"""A trained model that scores media: all students of a variant with their extractors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avsed import __version__
from avsed.dataset.loading import ClipFeatures
from avsed.errors import AvsedError
from avsed.features.extractor import Extractor
from avsed.model.card import ModelCard, read_model_card
from avsed.model.crnn import Crnn
from avsed.model.decisions import Decisions, fixed_decisions, read_decisions
from avsed.model.files import load_student, seed_paths
from avsed.model.score import score_clips
from avsed.model.scores import Scores
from avsed.params import PAPER_POSTPROCESS
from avsed.prediction.extractors import make_extractors
from avsed.runtime.device import choose_device
from avsed.runtime.files import file_sha256


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained variant with its extractors.

    Attributes:
        card: features, classes and sizes.
        students: of all seeds; their scores are averaged.
        weights_sha256: of each student's file.
        extractors: kind to extractor of its features.
        decisions: thresholds and filters.
        device: where the students are.
    """

    card: ModelCard
    students: Sequence[Crnn]
    weights_sha256: Sequence[str]
    extractors: Mapping[str, Extractor]
    decisions: Decisions
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """K labels."""
        return self.card.classes

    @property
    def warnings(self) -> list[str]:
        """How features computed here differ from those used in training."""
        return [
            f"the model's {kind} features are computed in {extractor.spec.provenance['dtype']} "
            f"here; it was trained on those of {self.card.provenance[kind]['dtype']}"
            for kind, extractor in self.extractors.items()
            if extractor.spec.provenance.get("dtype") != self.card.provenance[kind].get("dtype")
        ]

    @property
    def settings(self) -> str:
        """Hash of the version, the card, the weights and the decisions."""
        made_of = (__version__, self.card.model_dump(), self.weights_sha256)
        content = json.dumps((*made_of, self.decisions.model_dump()), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def score(self, clips: ClipFeatures) -> Scores:
        """Average the scores of all students for n clips."""
        counted = clips.mask if self.card.mask_padding else torch.ones_like(clips.mask)
        scores = [score_clips(one, clips, counted, self.device) for one in self.students]
        return Scores(
            frame_scores=np.mean([of_seed.frame_scores for of_seed in scores], axis=0),
            clip_scores=np.mean([of_seed.clip_scores for of_seed in scores], axis=0),
        )


def load_model(model_dir: Path, weights: Mapping[str, Path] | None = None) -> TrainedModel:
    """Load all students of a variant, and make the extractors of their features.

    Args:
        model_dir: what `train_variant` wrote; without decisions.json, the paper's threshold and
            filter are used.
        weights: kind to a file of weights, for networks whose weights are neither random nor
            published.

    Raises:
        AvsedError: if there is no model, or its features cannot be computed here.
    """
    card = read_model_card(model_dir)
    paths = seed_paths(model_dir)
    if not paths:
        raise AvsedError(
            f"{model_dir}: has no seeds/seed-NN.safetensors; run `dvc repro train@{model_dir.name}`"
        )
    decisions = read_decisions(model_dir, card.classes)
    device = choose_device()
    return TrainedModel(
        card=card,
        students=[load_student(card, path, device) for path in paths.values()],
        weights_sha256=[file_sha256(path) for path in paths.values()],
        extractors=make_extractors(card, model_dir, weights or {}),
        decisions=decisions or fixed_decisions(card.classes, PAPER_POSTPROCESS),
        device=device,
    )
