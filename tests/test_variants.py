"""Names of variants: what they join, and in which order."""

import pytest

from avsed.errors import AvsedError
from avsed.variants import kinds_of_variant


def test_a_variants_features_are_in_the_order_of_their_concatenation() -> None:
    assert kinds_of_variant("visual+spectral") == ("spectral", "visual")
    named = "visual_efficientnet+visual+auditory_centered+spectral"
    in_order = ("spectral", "auditory_centered", "visual", "visual_efficientnet")
    assert kinds_of_variant(named) == in_order


@pytest.mark.parametrize("variant", ["", "spectral+sound", "visual+visual", "spectral_fine"])
def test_other_variants_are_refused(variant: str) -> None:
    with pytest.raises(AvsedError, match="is no variant; join spectral, auditory, visual or"):
        kinds_of_variant(variant)
