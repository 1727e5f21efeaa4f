"""Names of kinds of features, and of variants, which join kinds by `+` (Section 3).

A variant that also trains on strong labels (not in the paper) ends in `+strong`.
"""

from collections.abc import Mapping, Sequence

from avsed.errors import AvsedError

# A row of the table without training: YAMNet's own classes, mapped to those of the data set.
ZERO_SHOT = "yamnet_zero_shot"
_STRONG = "strong"
FAMILIES = ("spectral", "auditory", "visual")  # order of concatenation


def family(kind: str) -> str:
    """Return the family of a kind of features: spectral, auditory or visual.

    The name of a kind that is not in the paper begins with its family: visual_efficientnet.
    """
    return kind.partition("_")[0]


def kinds_of_variant(variant: str) -> tuple[str, ...]:
    """Split a variant's name, such as `spectral+visual`, into its kinds of features.

    A `+strong` at its end is no kind, and is dropped.

    Returns:
        The kinds in the order of concatenation: by family, then by name.

    Raises:
        AvsedError: if a name is not a kind, or is repeated.
    """
    kinds = weak_variant(variant).split("+")
    known = all(kind == "spectral" or family(kind) in ("auditory", "visual") for kind in kinds)
    if not known or len(set(kinds)) < len(kinds):
        raise AvsedError(
            f"{variant!r} is no variant; join spectral, auditory, visual or added kinds by +, each "
            f"once, and end in +{_STRONG} to train on strong labels"
        )
    return tuple(sorted(kinds, key=lambda kind: (FAMILIES.index(family(kind)), kind)))


def uses_strong(variant: str) -> bool:
    """Return whether a variant, by its name, trains on strong labels if there are any."""
    return variant.endswith(f"+{_STRONG}")


def weak_variant(variant: str) -> str:
    """Return a variant's name without `+strong`: what it equals where no strong labels are used."""
    return variant.removesuffix(f"+{_STRONG}")


def name_variant(kinds: Sequence[str], *, strong: bool) -> str:
    """Join kinds of features to a variant's name."""
    return "+".join([*kinds, *([_STRONG] if strong else [])])


def without_strong(variants: Mapping[str, str | None]) -> dict[str, str | None]:
    """Drop the variants that train on strong labels.

    Args:
        variants: variant to its baseline, if any.
    """
    return {
        variant: None if baseline and uses_strong(baseline) else baseline
        for variant, baseline in variants.items()
        if not uses_strong(variant)
    }


def with_zero_shot(variants: Mapping[str, str | None]) -> dict[str, str | None]:
    """Add the row without training to those of variants.yaml.

    Args:
        variants: variant to its baseline, if any.
    """
    baseline = "spectral" if "spectral" in variants else None
    return {**variants, ZERO_SHOT: baseline}
