"""Read params.yaml, its profile and variants.yaml; explain what is wrong with them."""

import difflib
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from avsed.errors import MAX_SHOWN, AvsedError, show
from avsed.params import DemoDataset, LocalDataset, Params, Section, YoutubeDataset
from avsed.variants import family, kinds_of_variant


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
