"""Names of variants: what they join, and in which order."""

import pytest
from ruamel.yaml import YAML

from avsed.config import load_variants
from avsed.errors import AvsedError
from avsed.variants import (
    kinds_of_variant,
    name_variant,
    uses_strong,
    weak_variant,
    without_strong,
)
from tests.conftest import ROOT


def test_a_variants_features_are_in_the_order_of_their_concatenation() -> None:
    assert kinds_of_variant("visual+spectral") == ("spectral", "visual")
    named = "visual_efficientnet+visual+auditory_centered+spectral"
    in_order = ("spectral", "auditory_centered", "visual", "visual_efficientnet")
    assert kinds_of_variant(named) == in_order


def test_strong_labels_are_part_of_a_variants_name_and_no_kind() -> None:
    variant = "spectral+visual+strong"
    assert kinds_of_variant(variant) == ("spectral", "visual")
    assert (uses_strong(variant), uses_strong("spectral+visual")) == (True, False)
    assert weak_variant(variant) == "spectral+visual" == weak_variant("spectral+visual")
    assert name_variant(("spectral", "visual"), strong=True) == variant


def test_rows_with_strong_labels_are_dropped_as_baselines_too() -> None:
    rows = {"spectral": None, "visual+strong": "visual", "visual": "visual+strong"}
    assert without_strong(rows) == {"spectral": None, "visual": None}


@pytest.mark.parametrize(
    "variant",
    [
        *("", "spectral+sound", "visual+visual", "spectral_fine"),
        *("strong", "strong+visual", "visual+strong+strong"),
    ],
)
def test_other_variants_are_refused(variant: str) -> None:
    with pytest.raises(AvsedError, match="is no variant; join spectral, auditory, visual or"):
        kinds_of_variant(variant)


def test_the_models_of_the_paper_are_artifacts_of_dvc() -> None:
    paper = {
        name: name.split("+")
        for name in load_variants(ROOT / "variants.yaml")
        if set(name.split("+")) <= {"spectral", "auditory", "visual"}
    }
    assert len(paper) == 7
    artifacts = YAML(typ="safe").load(ROOT / "dvc.yaml")["artifacts"]
    assert {name: artifact["labels"] for name, artifact in artifacts.items()} == {
        name.replace("+", "-"): kinds for name, kinds in paper.items()
    }
    assert [artifact["path"] for artifact in artifacts.values()] == [
        f"data/models/{name}" for name in paper
    ]
    assert {artifact["type"] for artifact in artifacts.values()} == {"model"}
