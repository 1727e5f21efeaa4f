"""Names of kinds of features, and of variants, which join kinds by `+` (Section 3)."""

from collections.abc import Mapping

from avsed.errors import AvsedError

# A row of the table without training: YAMNet's own classes, mapped to those of the data set.
ZERO_SHOT = "yamnet_zero_shot"
FAMILIES = ("spectral", "auditory", "visual")  # order of concatenation


def family(kind: str) -> str:
    """Return the family of a kind of features: spectral, auditory or visual.

    The name of a kind that is not in the paper begins with its family: visual_efficientnet.
    """
    return kind.partition("_")[0]


def kinds_of_variant(variant: str) -> tuple[str, ...]:
    """Split a variant's name, such as `spectral+visual`, into its kinds of features.

    Returns:
        The kinds in the order of concatenation: by family, then by name.

    Raises:
        AvsedError: if a name is not a kind, or is repeated.
    """
    kinds = variant.split("+")
    known = all(kind == "spectral" or family(kind) in ("auditory", "visual") for kind in kinds)
    if not known or len(set(kinds)) < len(kinds):
        raise AvsedError(
            f"{variant!r} is no variant; join spectral, auditory, visual or added kinds by +, each "
            "once"
        )
    return tuple(sorted(kinds, key=lambda kind: (FAMILIES.index(family(kind)), kind)))


def with_zero_shot(variants: Mapping[str, str | None]) -> dict[str, str | None]:
    """Add the row without training to those of variants.yaml.

    Args:
        variants: variant to its baseline, if any.
    """
    baseline = "spectral" if "spectral" in variants else None
    return {**variants, ZERO_SHOT: baseline}
