"""The sections of params.yaml and of profiles: the schema, without defaults."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from avsed.errors import show

Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _auto_or_count(value: object) -> object:
    if value != "auto" and not (type(value) is int and value >= 1):
        raise ValueError(f"is {show(value)}; give auto or a whole number from 1 on")
    return value


def _values(value: object) -> Iterable[object]:
    """Return the numbers of a setting: one for all classes, or one for each."""
    return value.values() if isinstance(value, dict) and value else [value]


def _check_frames(value: object) -> object:
    for one in _values(value):
        if type(one) is not int or one < 1:
            raise ValueError(
                f"is {show(one)}; give a whole number from 1 on, or one for each class"
            )
    return value


def _check_amounts(value: object) -> object:
    for one in _values(value):
        if type(one) not in (int, float) or not 0 <= cast(float, one) < math.inf:
            raise ValueError(f"is {show(one)}; give a number from 0 on, or one for each class")
    return value


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAX_CLASS_NAME = 100  # characters; longer ones are other text in the wrong place
AutoOrCount = Annotated[Literal["auto"] | int, PlainValidator(_auto_or_count)]

# A number for all classes, or class to number.
FilterFrames = Annotated[int | dict[str, int], PlainValidator(_check_frames)]
Amounts = Annotated[float | dict[str, float], PlainValidator(_check_amounts)]

# "random" (with a fixed seed), "pretrained" (the published weights) or the path of a file.
Weights = Annotated[str, Field(min_length=1)]


def explain_class_name(name: str) -> str:
    """Return why a class cannot have this name, and what to do; empty if it can.

    The one rule for names in lists, in `classes.txt` and in profiles.
    """
    problem = ""
    if not name or name != name.strip():
        problem = "begins or ends with a blank, or is empty; remove the blanks"
    elif "," in name:
        without = " ".join(name.replace(",", " ").split())
        problem = (
            "contains a comma, which separates labels in weak.tsv; write it without commas, such "
            f"as {show(without)}, in the lists and the classes"
        )
    elif name.startswith('"'):
        problem = "begins with a quotation mark; remove it"
    elif _CONTROL.search(name):
        problem = "contains control characters; remove them"
    elif len(name) > MAX_CLASS_NAME:
        problem = f"has {len(name):,} characters; use up to {MAX_CLASS_NAME}"
    elif name.lower() == "none":
        problem = "is read by sed_eval as a missing label; rename the class"
    return problem and f"{show(name)} cannot be a class: it {problem}"


class Section(BaseModel):
    """Base class of the sections: unknown keys, wrong types and invalid values are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DemoDataset(Section):
    """A synthesized data set."""

    source: Literal["demo"]
    seed: Annotated[int, Field(ge=0)]
    n_weak: Count
    n_unlabeled: Count
    n_validation: Count
    n_test: Count
    n_strong: Annotated[int, Field(ge=0)]  # strongly labeled clips to train on

    @property
    def n_clips(self) -> dict[str, int]:
        """Clips of each split."""
        counts = {
            "weak": self.n_weak,
            "unlabeled": self.n_unlabeled,
            "validation": self.n_validation,
            "test": self.n_test,
        }
        return counts | ({"strong": self.n_strong} if self.n_strong else {})


class LocalDataset(Section):
    """The user's own clips; their folders are in the section `local`."""

    source: Literal["local"]
    classes: tuple[str, ...] = Field(strict=False, min_length=1)

    @model_validator(mode="after")
    def _classes_can_be_listed(self) -> Self:
        for name in self.classes:
            if problem := explain_class_name(name):
                raise ValueError(problem)
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is listed twice; list each once")
        return self


class YoutubeDataset(Section):
    """The clips of DCASE 2018 task 4 (Section 4.1)."""

    source: Literal["youtube"]
    # "published" (downloaded from the repository of the challenge) or the path of a folder.
    lists: Annotated[str, Field(min_length=1)]


Dataset = Annotated[DemoDataset | LocalDataset | YoutubeDataset, Field(discriminator="source")]


class Local(Section):
    """Folders of the local data set, in params.yaml so that DVC can track them."""

    media_dir: Path = Field(strict=False)
    metadata_dir: Path = Field(strict=False)


class Download(Section):
    """Download from YouTube (Section 4.1)."""

    cookies: Path | None = Field(strict=False)  # a cookies.txt in Netscape format
    proxy: str | None
    sleep: Annotated[float, Field(ge=0)]  # seconds from the start of one video to the next
    jobs: Count  # simultaneous downloads
    min_fraction: Annotated[float, Field(ge=0, le=1)]  # of each split's clips


class Spectral(Section):
    """Log-mel spectrogram (Section 4.2)."""

    window_length: Annotated[int, Field(ge=16)]  # samples
    log_floor: Annotated[float, Field(gt=0)]  # magnitude


class Auditory(Section):
    """The pretrained network of sound; VGGish in the paper (Section 4.2)."""

    network: Literal["vggish", "yamnet"]
    alignment: Literal["paper", "centered"]
    activation: Literal["relu", "none"]  # of VGGish's last layer
    precision: Literal["auto", "float32"]
    weights: Weights


class Visual(Section):
    """The pretrained network of images; VGG16 in the paper (Section 4.2)."""

    network: Literal["vgg16", "efficientnet_lite0"]
    layer: Literal["fc6", "fc7", "fc8"]  # of VGG16
    precision: Literal["auto", "float32"]
    resize_size: Annotated[int, Field(ge=32)]  # pixels of the shorter side
    crop_size: Annotated[int, Field(ge=32)]  # pixels of both sides
    weights: Weights

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop_size > self.resize_size:
            raise ValueError(f"crop_size {self.crop_size} exceeds resize_size {self.resize_size}")
        return self


class ExtraNetworks(Section):
    """Networks that are not in the paper (docs/features.md)."""

    precision: Literal["auto", "float32"]
    weights: Literal["pretrained", "random"]


class Fusion(Section):
    """Embedding sizes of the pretrained features (Section 3)."""

    auditory_dim: Count
    visual_dim: Count
    standalone_auditory_dim: Count
    standalone_visual_dim: Count


class Train(Section):
    """Mean teacher training (Sections 2.3 and 4.3.1)."""

    dropout: Annotated[float, Field(ge=0, lt=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)]  # per step, after the ramp
    ramp_steps: Annotated[int, Field(ge=0)]
    consistency_weight: Annotated[float, Field(ge=0)]
    consistency_ramp: bool
    teacher_decay: Annotated[float, Field(ge=0, lt=1)]
    teacher_warmup: bool
    mask_padding: bool
    precision: Literal["auto", "float32"]  # of the convolutional blocks
    seeds_per_run: AutoOrCount  # seeds that take each step together
    steps: Count
    n_weak: Count  # clips of a batch
    n_unlabeled: Count  # clips of a batch
    n_seeds: Count


class Strong(Section):
    """Training on strong labels (not in the paper)."""

    weight: Annotated[float, Field(ge=0)]  # of the strong cost
    n_clips: Annotated[int, Field(ge=0)]  # strong clips of a batch

    @property
    def is_on(self) -> bool:
        """Whether strong labels are used, if there are any."""
        return self.weight > 0 and self.n_clips > 0


METHODS = ("median", "boxes")  # of postprocess.method


class EventSettings(Section):
    """How frame scores above a threshold become events (Section 2.2).

    The defaults of what is not in the paper change nothing: decisions.json of earlier versions
    lacks them.
    """

    method: Literal["median", "boxes"] = "median"
    median_filter_frames: FilterFrames
    # Not in the paper: sound event bounding boxes.
    step_filter_frames: FilterFrames = 8
    merge_absolute: Amounts = 1.0
    merge_relative: Amounts = 2.0
    max_gap: Amounts = 0.0  # seconds; not in the paper: gaps up to this between events are filled
    min_event: Amounts = 0.0  # seconds; not in the paper: shorter events are dropped

    @property
    def by_class(self) -> dict[str, dict[str, float]]:
        """The settings with a value for each class."""
        return {name: value for name, value in self if isinstance(value, dict)}

    @model_validator(mode="after")
    def _lengths_of_filters(self) -> Self:
        for frames in _values(self.median_filter_frames):
            if cast(int, frames) % 2 == 0:
                raise ValueError(
                    f"median_filter_frames is {frames}; a median filter needs an odd length, such "
                    "as 7"
                )
        for frames in _values(self.step_filter_frames):
            if cast(int, frames) % 2:
                raise ValueError(
                    f"step_filter_frames is {frames}; a step filter needs an even length, such as 8"
                )
        return self


class Postprocess(EventSettings):
    """Decisions from scores (Section 2.2)."""

    threshold: Fraction


# Section 2.2; used to predict with a model that has no decisions.json.
PAPER_POSTPROCESS = Postprocess(threshold=0.5, median_filter_frames=7)


class Evaluation(Section):
    """Metrics and the choice of seeds (Sections 4.3.2 and 5)."""

    thresholds: Literal["fixed", "tuned"]
    segment_length: Annotated[float, Field(ge=0.001)]  # the resolution of lists
    event_collar: Annotated[float, Field(gt=0)]
    offset_collar: Literal["larger", "smaller"]
    offset_collar_share: Annotated[float, Field(ge=0, le=1)]  # of the event's length
    n_best: Count


class Params(Section):
    """All parameters of one set-up."""

    profile: str
    dataset: Dataset
    local: Local
    download: Download
    spectral: Spectral
    auditory: Auditory
    visual: Visual
    extra_networks: ExtraNetworks
    fusion: Fusion
    train: Train
    strong: Strong
    postprocess: Postprocess
    evaluation: Evaluation

    def section_of(self, kind: str) -> Section:
        """Return the section that a kind of features is computed with."""
        sections = {
            "spectral": self.spectral,
            "auditory": self.auditory,
            "visual": self.visual,
            "auditory_centered": self.auditory.model_copy(update={"alignment": "centered"}),
        }
        return sections.get(kind, self.extra_networks)

    @model_validator(mode="after")
    def _enough_seeds(self) -> Self:
        if self.evaluation.n_best > self.train.n_seeds:
            raise ValueError(
                f"evaluation.n_best is {self.evaluation.n_best}, but train.n_seeds is "
                f"{self.train.n_seeds}; lower n_best, or train more seeds"
            )
        return self
