"""params.yaml, its profile and variants.yaml; the only reader of YAML.

`params.yaml` names a profile and holds every setting of the method. `profiles/<profile>.yaml`
holds what differs between set-ups: the data, the weights, the length of the training. A section
may have keys in both files, but no key stands in both. `variants.yaml` names the rows of the table.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from avsed.errors import MAX_SHOWN, AvsedError, show
from avsed.variants import family, kinds_of_variant

Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _auto_or_count(value: object) -> object:
    if value != "auto" and not (type(value) is int and value >= 1):
        raise ValueError(f"is {show(value)}; give auto or a whole number from 1 on")
    return value


# Lists separate by commas, tabs and lines; a control character would spoil what shows a label.
CLASS_NAME = re.compile(r"[^,\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
AutoOrCount = Annotated[Literal["auto"] | int, PlainValidator(_auto_or_count)]

# "random" (by a fixed seed), "pretrained" (the published ones) or the path of a file.
Weights = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of the parameters; unknown keys, wrong types and odd values are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DemoDataset(Section):
    """A synthesized data set; numbers of clips."""

    source: Literal["demo"]
    seed: Annotated[int, Field(ge=0)]
    n_weak: Count
    n_unlabeled: Count
    n_validation: Count
    n_test: Count

    @property
    def n_clips(self) -> dict[str, int]:
        """Clips of each split."""
        return {
            "weak": self.n_weak,
            "unlabeled": self.n_unlabeled,
            "validation": self.n_validation,
            "test": self.n_test,
        }


class LocalDataset(Section):
    """Clips of one's own; where they lie is in the section `local`."""

    source: Literal["local"]
    classes: tuple[str, ...] = Field(strict=False, min_length=1)

    @model_validator(mode="after")
    def _classes_can_be_listed(self) -> Self:
        for name in self.classes:
            if name != name.strip() or not CLASS_NAME.fullmatch(name):
                raise ValueError(
                    f"{show(name)} cannot be a class; use no commas, control characters or outer "
                    "blanks"
                )
            # Which sed_eval reads as no label.
            if name.lower() == "none":
                raise ValueError(f"{name!r} cannot be a class; it reads as no label")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names one twice; each stands once")
        return self


class YoutubeDataset(Section):
    """The clips of DCASE 2018 task 4 (Section 4.1)."""

    source: Literal["youtube"]
    # "published" (fetched from the challenge's repository) or the path of a folder that has them.
    lists: Annotated[str, Field(min_length=1)]


Dataset = Annotated[DemoDataset | LocalDataset | YoutubeDataset, Field(discriminator="source")]


class Local(Section):
    """Folders of the local data set, in params.yaml so that DVC can watch them."""

    media_dir: Path = Field(strict=False)
    metadata_dir: Path = Field(strict=False)


class Download(Section):
    """How clips are asked of YouTube (Section 4.1)."""

    cookies: Path | None = Field(strict=False)  # a cookies.txt in Netscape's form
    proxy: str | None
    sleep: Annotated[float, Field(ge=0)]  # seconds from the start of one video to the next
    jobs: Count  # videos in work at once
    min_fraction: Annotated[float, Field(ge=0, le=1)]  # of each split's clips


class Spectral(Section):
    """Log-mel spectrogram (Section 4.2)."""

    window_length: Annotated[int, Field(ge=16)]  # samples
    log_floor: Annotated[float, Field(gt=0)]  # magnitude


class Auditory(Section):
    """VGGish (Section 4.2)."""

    alignment: Literal["paper", "centered"]
    activation: Literal["relu", "none"]
    precision: Literal["auto", "float32"]
    weights: Weights


class Visual(Section):
    """VGG16 (Section 4.2)."""

    layer: Literal["fc6", "fc7", "fc8"]
    precision: Literal["auto", "float32"]
    resize_size: Annotated[int, Field(ge=32)]  # pixels of the shorter side
    crop_size: Annotated[int, Field(ge=32)]  # pixels of both sides
    weights: Weights

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop_size > self.resize_size:
            raise ValueError(f"crop_size {self.crop_size} exceeds resize_size {self.resize_size}")
        return self


class Added(Section):
    """Networks that were added to those of the paper (docs/features.md)."""

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
    seeds_per_run: AutoOrCount  # that take each step together
    steps: Count
    n_weak: Count  # clips of a batch
    n_unlabeled: Count  # clips of a batch
    n_seeds: Count


class Postprocess(Section):
    """Decisions from scores (Section 2.2)."""

    threshold: Fraction
    median_filter_frames: Count

    @model_validator(mode="after")
    def _odd_filter(self) -> Self:
        if self.median_filter_frames % 2 == 0:
            raise ValueError(
                f"median_filter_frames is {self.median_filter_frames}; a median filter needs an "
                "odd length, such as 7"
            )
        return self


class Evaluation(Section):
    """Metrics and the choice of seeds (Sections 4.3.2 and 5)."""

    thresholds: Literal["fixed", "tuned"]
    segment_length: Annotated[float, Field(gt=0)]
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
    added: Added
    fusion: Fusion
    train: Train
    postprocess: Postprocess
    evaluation: Evaluation

    def section_of(self, kind: str) -> Section:
        """Give what a kind of features is made by."""
        sections = {
            "spectral": self.spectral,
            "auditory": self.auditory,
            "visual": self.visual,
            "auditory_centered": self.auditory.model_copy(update={"alignment": "centered"}),
        }
        return sections.get(kind, self.added)

    @model_validator(mode="after")
    def _enough_seeds(self) -> Self:
        if self.evaluation.n_best > self.train.n_seeds:
            raise ValueError(
                f"evaluation.n_best is {self.evaluation.n_best}, but train.n_seeds is "
                f"{self.train.n_seeds}; keep no more seeds than are trained"
            )
        return self


class _Variant(Section):
    """What DVC is told of a variant, and what the report compares it with."""

    first: str  # kinds of features, or . for all
    second: str
    third: str
    size: str  # parameters
    other_size: str
    against: str = "spectral"  # a variant


def load_variants(path: str | Path = "variants.yaml") -> dict[str, str | None]:
    """Read the variants, the rows of the table in their order.

    Returns:
        Variant to the one that it is compared with; None of the one that is compared with itself.

    Raises:
        AvsedError: if the file is missing or no YAML, or what it says of a variant does not go
            with its name: DVC would take old results for new ones.
    """
    against: dict[str, str | None] = {}
    variants = _read_mapping(Path(path)).get("variants")
    if not isinstance(variants, dict) or not variants:
        raise AvsedError(f"{path}: names no variants; put them under `variants:`")
    for name, told in variants.items():
        try:
            kinds = kinds_of_variant(str(name))
        except AvsedError as error:
            raise AvsedError(f"{path}: {error}") from None
        try:
            variant = _Variant.model_validate(told)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, [name, *first["loc"]]))
            raise AvsedError(f"{path}: {key}: {first['msg'].lower()}") from None
        named = {variant.first, variant.second, variant.third}
        if named != set(kinds) and not (len(kinds) > 3 and "." in named):
            raise AvsedError(
                f"{path}: {name}: first, second and third name {', '.join(sorted(named))}; name "
                + (", ".join(sorted(kinds)) if len(kinds) <= 3 else "third: . for all features")
            )
        alone = "" if "spectral" in kinds else "standalone_"
        families = {family(kind) for kind in kinds} & {"auditory", "visual"}
        sizes = {f"fusion.{alone}{name_of_family}_dim" for name_of_family in families}
        if not sizes <= {variant.size, variant.other_size}:
            raise AvsedError(
                f"{path}: {name}: size and other_size must name {' and '.join(sorted(sizes))}"
            )
        if variant.against not in variants:
            raise AvsedError(
                f"{path}: {name} is compared with {variant.against}, which is no row; name one by "
                "`against: VARIANT`"
            )
        against[name] = variant.against if variant.against != name else None
    return against


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read the parameters and the profile that they name.

    Args:
        path: params.yaml; the profiles lie in the folder `profiles` beside it.

    Raises:
        AvsedError: if a file is missing or no YAML, or a key is unknown, missing, in both files,
            of the wrong type or out of range.
    """
    path = Path(path)
    params = _read_mapping(path)
    profile = params.get("profile")
    profiles = sorted(file.stem for file in path.parent.glob("profiles/*.yaml"))
    if profile not in profiles:
        raise AvsedError(f"{path}: profile is {show(profile)}; choose one of {', '.join(profiles)}")
    profile_path = path.parent / "profiles" / f"{profile}.yaml"
    merged = _merge(params, _read_mapping(profile_path), f"{path} and {profile_path}")
    try:
        return Params.model_validate(merged)
    except ValidationError as error:
        raise AvsedError(_explain(error, path, profile_path, params)) from None


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        # YAML 1.2, as DVC writes it: 1.1 takes its 5e-05 for a word.
        content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise AvsedError(f"{path}: no such file; run avsed in a folder that has one") from None
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise AvsedError(f"{path}: is nested too deeply; a section holds values only") from None
    except (YAMLError, ValueError) as error:  # a ValueError of what is no text, number or date
        reason = " ".join(str(error).split())
        raise AvsedError(f"{path}: is not valid YAML: {reason}") from None
    if not isinstance(content, dict):
        raise AvsedError(f"{path}: holds no `key: value` lines")
    return content


def _merge(params: dict[str, Any], profile: dict[str, Any], where: str) -> dict[str, Any]:
    """Unite two files whose sections may be shared, but whose keys may not."""
    merged = dict(params)
    for name, section in profile.items():
        both = merged.get(name)
        if both is None:
            merged[name] = section
        elif isinstance(both, dict) and isinstance(section, dict) and not both.keys() & section:
            merged[name] = both | section
        else:
            key = name
            if isinstance(both, dict) and isinstance(section, dict):
                key = f"{name}.{next(key for key in both if key in section)}"
            raise AvsedError(f"{where}: both set {_one_line(key)}; keep it in one of them")
    return merged


def _explain(error: ValidationError, path: Path, profile_path: Path, params: dict[str, Any]) -> str:
    """Turn the first complaint into one line; a misspelt key before what it leaves missing."""
    complaints = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    first = complaints[0]
    # A discriminated union puts its choice behind the section's name.
    keys = [str(part) for part in first["loc"]]
    if keys[:1] == ["dataset"]:
        del keys[1:2]
    key = _one_line(".".join(keys))
    message = first["msg"].removeprefix("Value error, ")
    either = f"{path} or {profile_path}"
    if first["type"] == "missing":
        return f"{either}: {key} is missing; add it"
    if first["type"] == "value_error":  # concerns several keys
        return f"{either}: {key + ': ' if key else ''}{message}"
    if first["type"].startswith("union_tag"):
        return f"{profile_path}: {key}.source must be demo, local or youtube"
    section = params.get(keys[0])
    in_params = keys[0] in params if len(keys) == 1 else keys[1] in (section or ())
    where = path if in_params else profile_path
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(keys[-1], _names_beside(keys), n=1)
        hint = f"did you mean {close[0]}?" if close else "remove it"
        return f"{where}: {key} is not a parameter; {hint}"
    if first["type"] == "invalid_key":
        return f"{path} or {profile_path}: {key} is not a parameter; remove it"
    return f"{where}: {key} is {show(first['input'])}; {message[0].lower()}{message[1:]}"


def _one_line(key: str) -> str:
    return key if key.isprintable() and len(key) <= MAX_SHOWN else show(key)


def _names_beside(keys: list[str]) -> list[str]:
    """Name the parameters that could have been meant where `keys` was written."""
    fields = Params.model_fields
    if len(keys) == 1:
        return list(fields)
    if keys[0] == "dataset":
        sections: tuple[type[Section], ...] = (DemoDataset, LocalDataset, YoutubeDataset)
    else:
        sections = (cast(type[Section], fields[keys[0]].annotation),)
    return [name for section in sections for name in section.model_fields]


def require_variant(variant: str) -> None:
    """Refuse what is no variant.

    Raises:
        AvsedError: if variants.yaml does not name it.
    """
    variants = load_variants()
    if variant not in variants:
        raise AvsedError(f"variants.yaml: {variant!r} is no row; there are {', '.join(variants)}")
