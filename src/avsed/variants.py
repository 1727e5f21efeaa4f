"""Names: of kinds of features, and of the variants, which join them by `+` (Section 3)."""

from avsed.errors import AvsedError

FAMILIES = ("spectral", "auditory", "visual")  # the order in which they are concatenated


def family(kind: str) -> str:
    """Tell what a kind of features is one of: spectral, auditory or visual.

    The name of a kind that is not the paper's begins with it, as visual_efficientnet.
    """
    return kind.partition("_")[0]


def kinds_of_variant(variant: str) -> tuple[str, ...]:
    """Split a variant's name, such as `spectral+visual`, into its kinds of features.

    Returns:
        The kinds in the order in which they are concatenated: by their family, then by name.

    Raises:
        AvsedError: if it names anything but distinct kinds.
    """
    kinds = variant.split("+")
    known = all(kind == "spectral" or family(kind) in ("auditory", "visual") for kind in kinds)
    if not known or len(set(kinds)) < len(kinds):
        raise AvsedError(
            f"{variant!r} is no variant; join spectral, auditory, visual or added kinds by +, each "
            "once"
        )
    return tuple(sorted(kinds, key=lambda kind: (FAMILIES.index(family(kind)), kind)))
