"""The model of the public interface for Python, `avsed.load_model`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avsed.errors import AvsedError
from avsed.prediction import trained_model
from avsed.prediction.predict import Detector, Prediction, predict
from avsed.zero_shot.detector import load_detector


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model, or YAMNet without training, that is applied to media.

    Attributes:
        detector: computes the scores; its decisions have the thresholds and filters.
    """

    detector: Detector

    @property
    def classes(self) -> tuple[str, ...]:
        """K labels."""
        return self.detector.classes

    @property
    def warnings(self) -> list[str]:
        """What to know about its scores, such as features in another precision."""
        return self.detector.warnings

    def predict(self, path: str | Path, *, shows_progress: bool = True) -> Prediction:
        """Find the tags and events of a media file.

        Args:
            path: media of any length, in any container that ffmpeg reads.
            shows_progress: whether to show a progress bar on a terminal.

        Raises:
            AvsedError: if it is no media file, lacks a stream that the model needs, or its scores
                are NaN or infinite.
        """
        return predict(self.detector, Path(path), shows_progress=shows_progress)


def load_model(
    model_dir: str | Path | None = None,
    *,
    classes: Literal["dcase", "audioset"] | None = None,
    weights: Mapping[str, str | Path] | None = None,
) -> Model:
    """Load a trained model, or YAMNet.

    Args:
        model_dir: folder of a trained model, such as data/models/spectral; None for YAMNet, which
            needs no training.
        classes: YAMNet's: "dcase" (default) for the ten classes of DCASE 2018 task 4, "audioset"
            for all 521 of AudioSet.
        weights: kind of features to a file of weights, for networks of a trained model whose
            weights are neither random nor published.

    Raises:
        AvsedError: if there is no model, its features cannot be computed here, weights cannot be
            downloaded, or the arguments contradict each other.
    """
    if model_dir is None:
        if weights:
            raise AvsedError("weights: YAMNet's are fixed; name the model that uses other weights")
        return Model(detector=load_detector(classes or "dcase"))
    if classes:
        raise AvsedError("classes: a trained model has its own; omit model_dir or classes")
    given = {kind: Path(path) for kind, path in (weights or {}).items()}
    return Model(detector=trained_model.load_model(Path(model_dir), given))
