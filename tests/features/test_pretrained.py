"""Further pretrained networks are loaded and aligned like the paper's."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn
from torchvision.models import EfficientNet_B0_Weights
from torchvision.models import efficientnet_b0 as torchvision_b0

from avsed.config import load_params
from avsed.errors import AvsedError
from avsed.features.extractor import Extractor
from avsed.features.kinds import KINDS, make_recipes, require_weights
from avsed.features.networks import efficientnet_b0
from avsed.features.pretrained import sound_extractor
from avsed.features.weights.load import load_weights
from avsed.features.weights.published import PublishedWeights
from avsed.framing import FRAME_HOP
from avsed.params import ExtraNetworks
from avsed.runtime.files import file_sha256
from tests.conftest import ROOT, features_of, read_images
from tests.helpers.extractors import extractor

FLOAT32 = ExtraNetworks(precision="float32", weights="random")


PUBLISHED = PublishedWeights(url="https://example.org/loudness.pth", sha256="0" * 64)


def make_loudness(params: ExtraNetworks, published: PublishedWeights = PUBLISHED) -> Extractor:
    """Return an extractor of the weighted maximum and minimum of each window."""
    network = nn.Linear(2, 2)

    def embed(windows: Tensor) -> Tensor:
        embedded: Tensor = network(torch.stack([windows.amax(1), windows.amin(1)], dim=1))
        return embedded

    return sound_extractor(
        "auditory_loudness",
        params,
        network=network,
        published=published,
        sample_rate=8000,
        window=0.5,
        embed=embed,
        dims=2,
        settings={"extractor": "loudness"},
    )


def click_at(path: Path, second: float) -> Path:
    waveform = np.zeros(32_000 * 5, np.float32)
    waveform[int(second * 32_000)] = 1.0
    soundfile.write(path, waveform, 32_000)
    return path


def test_a_sound_network_sees_the_window_around_each_frame(tmp_path: Path) -> None:
    extractor = make_loudness(FLOAT32)
    assert extractor.spec.kind == "auditory_loudness"
    assert extractor.spec.stream == "audio"
    features = features_of(extractor, click_at(tmp_path / "click.wav", 2.0), 5.0)
    assert features.shape == (151, 2)
    heard = np.flatnonzero((features != 0).any(axis=1)) * FRAME_HOP
    # A window of half a second has the click from 0.25 s before it to 0.25 s after it.
    assert heard[0] == pytest.approx(1.75, abs=FRAME_HOP)
    assert heard[-1] == pytest.approx(2.25, abs=FRAME_HOP)


@pytest.mark.slow
def test_efficientnet_gives_what_torchvisions_does(clip_path: Path) -> None:
    extractor = efficientnet_b0.make_extractor(FLOAT32)
    features = features_of(extractor, clip_path, 4.0)
    assert (extractor.spec.kind, extractor.spec.stream) == ("visual_efficientnet", "video")

    network = torchvision_b0().eval()
    loaded = load_weights(network, "random", efficientnet_b0.PUBLISHED)
    assert extractor.spec.provenance["weights_sha256"] == loaded["weights_sha256"]
    network.classifier = nn.Identity()
    image = read_images(clip_path)[40]
    transform = EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        alone = network(transform(torch.from_numpy(image).permute(2, 0, 1))[None])
    assert features.shape == (151, 1280)
    assert features[40] == pytest.approx(alone[0].numpy(), rel=2e-3, abs=1e-6)
    assert features[:61].std(axis=0).max() > 1e-4  # pictures differ, even to random weights
    assert (features[61:] == 0).all()  # 4 s reach into 61 frames


def test_published_weights_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = PUBLISHED.path
    path.parent.mkdir(parents=True)
    torch.save({"weight": torch.ones(2, 2), "bias": torch.tensor([1.0, 2.0])}, path)
    ours = PublishedWeights(url=PUBLISHED.url, sha256=file_sha256(path))
    extractor = make_loudness(ExtraNetworks(precision="float32", weights="pretrained"), ours)
    assert extractor.embed(torch.zeros(3, 4000)).tolist() == [[1.0, 2.0]] * 3
    assert extractor.spec.provenance["weights"] == "pretrained"
    assert extractor.spec.provenance["weights_sha256"] == ours.sha256


def test_a_variant_of_any_kinds_is_extracted_and_each_kind_by_its_own_parameters() -> None:
    params = load_params(ROOT / "params.yaml")
    recipes = make_recipes(
        ["spectral", "auditory_centered+visual_efficientnet", "auditory+visual_efficientnet"],
        params,
    )
    assert list(recipes) == ["spectral", "auditory", "auditory_centered", "visual_efficientnet"]
    assert recipes["visual_efficientnet"].params == params.extra_networks
    assert recipes["auditory"].params == params.auditory
    centered = params.auditory.model_copy(update={"alignment": "centered"})
    assert recipes["auditory_centered"].params == centered
    # As a worker of a cluster gets it.
    recipe = recipes["visual_efficientnet"]
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(AvsedError, match=r"unknown kind of features visual_clip; use one of spec"):
        make_recipes(["spectral+visual_clip"], load_params(ROOT / "params.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_called_what_its_features_say(kind: str) -> None:
    assert extractor(kind).spec.kind == kind


def test_weights_that_do_not_fit_are_refused_before_any_clip(tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(nn.Linear(2, 3).state_dict(), path)
    params = load_params(ROOT / "params.yaml")
    visual = params.visual.model_copy(update={"weights": str(path)})
    own = params.model_copy(update={"visual": visual})
    require_weights(["spectral"], own)
    with pytest.raises(AvsedError, match=r"own.pth: is not a state dict of EfficientNetLite0"):
        require_weights(["spectral", "spectral+visual"], own)
