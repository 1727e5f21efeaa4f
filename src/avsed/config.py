"""Read params.yaml, its profile and variants.yaml; explain what is wrong with them."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from avsed.errors import MAX_SHOWN, AvsedError, show
from avsed.params import DemoDataset, LocalDataset, Params, Section, YoutubeDataset
from avsed.variants import family, kinds_of_variant, uses_strong


class _Row(Section):
    """A row of variants.yaml: what DVC tracks for a variant, and its baseline in the report."""

    features_1: str  # kinds of features; . for all
    features_2: str
    features_3: str
    param_1: str
    param_2: str
    labels: str  # the list of the labels: strong, or weak for all other variants
    param_3: str
    baseline: str = "spectral"  # a variant


def load_variants(path: str | Path = "variants.yaml") -> dict[str, str | None]:
    """Read the variants, the rows of the table in their order.

    Returns:
        Variant to its baseline; None for a variant that is its own.

    Raises:
        AvsedError: if the file is missing or invalid, or the slots of a row do not match the
            variant's name, so that DVC would reuse stale results.
    """
    baselines: dict[str, str | None] = {}
    variants = _read_mapping(Path(path)).get("variants")
    if not isinstance(variants, dict) or not variants:
        raise AvsedError(f"{path}: names no variants; list them under `variants:`")
    for name, content in variants.items():
        try:
            slots = _slots(kinds_of_variant(str(name)), strong=uses_strong(str(name)))
        except AvsedError as error:
            raise AvsedError(f"{path}: {error}") from None
        correct = ", ".join(f"{slot}: {value}" for slot, value in slots.items())
        remedy = f"write `{name}: {{ {correct} }}`"
        if not isinstance(content, dict):
            raise AvsedError(f"{path}: {name} is {show(content)}; {remedy}")
        try:
            row = _Row.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, [name, *first["loc"]]))
            raise AvsedError(f"{path}: {key}: {first['msg'].lower()}; {remedy}") from None
        if row.model_dump(exclude={"baseline"}) != slots:
            raise AvsedError(
                f"{path}: {name}: the slots do not match the variant's name, so DVC would reuse "
                f"stale results; {remedy}"
            )
        if row.baseline not in variants:
            raise AvsedError(
                f"{path}: {name}: the baseline {row.baseline} is not a row; write "
                f"`{name}: {{ {correct}, baseline: VARIANT }}` with a row of the file"
            )
        baselines[name] = row.baseline if row.baseline != name else None
    return baselines


def _slots(kinds: Sequence[str], *, strong: bool) -> dict[str, str]:
    """Fill the slots of a row: DVC interpolates single values only, so the last one is repeated.

    Without strong labels, `labels` and `param_3` repeat what all variants depend on.
    """
    features = [*kinds] if len(kinds) <= 3 else [*kinds[:2], "."]
    standalone = "" if "spectral" in kinds else "standalone_"
    families = [name for name in ("auditory", "visual") if name in map(family, kinds)]
    sizes = [f"fusion.{standalone}{name}_dim" for name in families] or ["spectral.window_length"]
    return {
        "features_1": features[0],
        "features_2": features[min(1, len(features) - 1)],
        "features_3": features[-1],
        "param_1": sizes[0],
        "param_2": sizes[-1],
        "labels": "strong" if strong else "weak",
        "param_3": "strong" if strong else "train",
    }


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read the parameters and the profile that they name.

    Args:
        path: params.yaml; the profiles are in the folder `profiles` beside it.

    Raises:
        AvsedError: if a file is missing or not valid YAML, or a key is unknown, missing, set in
            both files, of the wrong type or out of range.
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
        # YAML 1.2, as DVC writes it: YAML 1.1 reads 5e-05 as a string.
        content = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise AvsedError(f"{path}: no such file; run avsed in the folder of the project") from None
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise AvsedError(f"{path}: is nested too deeply; a section contains values only") from None
    except (YAMLError, ValueError) as error:  # ValueError: invalid text, number or date
        reason = " ".join(str(error).split())
        raise AvsedError(f"{path}: is not valid YAML: {reason}") from None
    if not isinstance(content, dict):
        raise AvsedError(f"{path}: has no `key: value` lines; restore the file from Git")
    return content


def _merge(params: dict[str, Any], profile: dict[str, Any], where: str) -> dict[str, Any]:
    """Merge two files that may share sections, but no keys."""
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
            raise AvsedError(f"{where}: both set {_one_line(key)}; remove it from one of them")
    return merged


def _explain(error: ValidationError, path: Path, profile_path: Path, params: dict[str, Any]) -> str:
    """Format the first error as one line; unknown keys first, since they explain missing ones."""
    complaints = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    first = complaints[0]
    # A discriminated union adds its choice after the section's name.
    keys = [str(part) for part in first["loc"]]
    if keys[:1] == ["dataset"]:
        del keys[1:2]
    key = _one_line(".".join(keys))
    message = first["msg"].removeprefix("Value error, ")
    either = f"{path} or {profile_path}"
    if first["type"] == "missing":
        return f"{either}: {key} is missing; add it"
    if first["type"] == "value_error":  # an error that concerns several keys
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
    """List the valid parameters at the level of `keys`, for a suggestion."""
    fields = Params.model_fields
    if len(keys) == 1:
        return list(fields)
    if keys[0] == "dataset":
        sections: tuple[type[Section], ...] = (DemoDataset, LocalDataset, YoutubeDataset)
    else:
        sections = (cast(type[Section], fields[keys[0]].annotation),)
    return [name for section in sections for name in section.model_fields]


def require_variant(variant: str) -> None:
    """Check that variants.yaml has a row of this name.

    Raises:
        AvsedError: if it has none.
    """
    variants = load_variants()
    if variant not in variants:
        raise AvsedError(
            f"variants.yaml: {variant!r} is not a row; use one of {', '.join(variants)}"
        )
