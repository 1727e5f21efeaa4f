"""Frame and clip scores from YAMNet's scores of AudioSet's classes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from avsed import __version__
from avsed.dataset.loading import ClipFeatures
from avsed.features.extractor import Extractor, Recipe
from avsed.features.networks.yamnet import make_score_extractor, read_class_names
from avsed.model.crnn import linear_pool
from avsed.model.decisions import Decisions, fixed_decisions
from avsed.model.scores import Scores
from avsed.params import PAPER_POSTPROCESS, Auditory
from avsed.zero_shot.classes import AUDIOSET_NAMES, map_classes

KIND = "yamnet_scores"
_PARAMS = Auditory(
    network="yamnet",
    alignment="centered",
    activation="relu",
    precision="float32",
    weights="pretrained",
)


@dataclass(frozen=True, kw_only=True)
class ZeroShotDetector:
    """YAMNet with its own classes, mapped to those of a data set.

    Attributes:
        columns: class to its columns of YAMNet's scores; the largest of them counts. A class
            without columns has scores of 0: it is never detected.
        extractors: the one kind of features, YAMNet's scores around each frame.
        decisions: thresholds and filters.
    """

    columns: Mapping[str, tuple[int, ...]]
    extractors: Mapping[str, Extractor]
    decisions: Decisions

    @property
    def classes(self) -> tuple[str, ...]:
        """K labels."""
        return tuple(self.columns)

    @property
    def missing(self) -> tuple[str, ...]:
        """The classes that AudioSet does not have."""
        return tuple(label for label, columns in self.columns.items() if not columns)

    @property
    def warnings(self) -> list[str]:
        """What to know about its scores."""
        return [f"AudioSet has no class {label}; it is never detected" for label in self.missing]

    @property
    def settings(self) -> str:
        """Hash of the version, the weights, the classes and the decisions."""
        made_of = (__version__, self.extractors[KIND].spec.provenance, self.columns)
        content = json.dumps((*made_of, self.decisions.model_dump()), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def score(self, clips: ClipFeatures) -> Scores:
        """Score n clips.

        Args:
            clips: with YAMNet's scores as features.
        """
        audioset = clips.features[KIND].to(torch.float32)  # (n, T, 521)
        none = torch.zeros(audioset.shape[:2])
        frame_scores = torch.stack(
            [
                audioset[:, :, list(columns)].amax(2) if columns else none
                for columns in self.columns.values()
            ],
            dim=2,
        )
        # As in the CRNN; of a short event, a mean over all frames would tell little.
        clip_scores = linear_pool(frame_scores, clips.mask)
        return Scores(frame_scores=frame_scores.numpy(), clip_scores=clip_scores.numpy())


def load_detector(classes: Sequence[str] | Literal["audioset", "dcase"]) -> ZeroShotDetector:
    """Load YAMNet as a detector.

    Args:
        classes: K labels; "audioset" for all 521 of YAMNet, "dcase" for the paper's ten.

    Raises:
        AvsedError: if YAMNet's weights cannot be downloaded.
    """
    audioset_names = read_class_names()
    if classes == "audioset":
        columns: dict[str, tuple[int, ...]] = {
            name: (column,) for column, name in enumerate(audioset_names)
        }
    else:
        columns = map_classes(
            tuple(AUDIOSET_NAMES) if classes == "dcase" else classes, audioset_names
        )
    extractor = Recipe(KIND, make_score_extractor, _PARAMS).build()
    return ZeroShotDetector(
        columns=columns,
        extractors={KIND: extractor},
        decisions=fixed_decisions(tuple(columns), PAPER_POSTPROCESS),
    )
