"""YAMNet and EfficientNet-Lite0 with their published weights reproduce published behavior."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import center_crop, resize

from avsed.config import load_params
from avsed.errors import AvsedError
from avsed.features.kinds import make_recipe
from avsed.features.networks.efficientnet_lite0 import PUBLISHED as LITE0
from avsed.features.networks.efficientnet_lite0 import EfficientNetLite0
from avsed.features.networks.log_mel_examples import log_mel_examples
from avsed.features.networks.yamnet import LOG_OFFSET, Yamnet, check_response, read_class_names
from avsed.features.networks.yamnet import PUBLISHED as YAMNET
from avsed.features.weights.load import load_weights
from avsed.params import Auditory, Visual
from tests.conftest import ROOT, features_of, read_audio, read_images

STATE_SHA256 = "cf068b65e7ac92d60580aa9b609920ae5d1b425e5539e23c432796ffff5d06e8"
REAL_MEDIA = ROOT.parent / "shared" / "realmedia"
SMALL = Visual(
    network="efficientnet_lite0",
    layer="fc7",
    precision="float32",
    resize_size=128,
    crop_size=128,
    weights="pretrained",
)


def yamnet_params(**changes: str) -> Auditory:
    auditory = load_params(ROOT / "params.yaml").auditory
    return auditory.model_copy(update={"precision": "float32", **changes})


@pytest.fixture(scope="module")
def yamnet() -> Yamnet:
    network = Yamnet().eval()
    load_weights(network, "pretrained", YAMNET)
    return network


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite0:
    network = EfficientNetLite0().eval()
    load_weights(network, "pretrained", LITE0)
    return network


def test_yamnets_variables_are_all_read(yamnet: Yamnet) -> None:
    state = {
        name: values
        for name, values in yamnet.state_dict().items()
        if not name.endswith(("norm.weight", "num_batches_tracked"))  # YAMNet has no scales
    }
    assert len(state) == 110
    assert sum(values.numel() for values in state.values()) == 3_751_369
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().numpy().tobytes())
    assert digest.hexdigest() == STATE_SHA256


def test_yamnet_tells_the_signals_of_its_smoke_test_apart(yamnet: Yamnet) -> None:
    check_response(yamnet)
    names = read_class_names()
    assert len(names) == 521
    assert [names[number] for number in (494, 495, 514)] == ["Silence", "Sine wave", "White noise"]


def test_a_yamnet_that_does_not_respond_as_published_is_refused() -> None:
    network = Yamnet().eval()
    load_weights(network, "random", YAMNET)
    with pytest.raises(AvsedError, match="YAMNet does not recognize a test signal as"):
        check_response(network)


@pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="needs real recordings")
@pytest.mark.parametrize(
    ("name", "label"), [("dog_bark", "Dog"), ("rain", "Rain"), ("fire_crackling", "Fire")]
)
def test_yamnet_recognizes_real_recordings(name: str, label: str, yamnet: Yamnet) -> None:
    waveform = read_audio(REAL_MEDIA / f"esc10_{name}.ogg", 16_000)
    examples = log_mel_examples(waveform, "paper", log_offset=LOG_OFFSET)[:70]  # of 5 s
    with torch.inference_mode():
        scores = yamnet.classify(torch.from_numpy(examples)).mean(0)
    highest = scores.topk(10).indices.tolist()
    assert label in [read_class_names()[number] for number in highest]


@pytest.mark.parametrize("alignment", ["paper", "centered"])
def test_yamnets_features_are_those_of_each_example_alone(
    alignment: str, clip_path: Path, yamnet: Yamnet
) -> None:
    params = yamnet_params(alignment=alignment)
    features = features_of(make_recipe("auditory", params).build(), clip_path, 4.0)
    examples = log_mel_examples(
        read_audio(clip_path, 16_000), params.alignment, log_offset=LOG_OFFSET
    )
    with torch.inference_mode():
        alone = yamnet(torch.from_numpy(examples[[7]])).numpy()
    assert features.shape == (151, 1024)
    assert features[7] == pytest.approx(alone[0], rel=2e-3, abs=1e-4)  # float16


def test_lite0_features_are_those_of_each_image_alone(
    clip_path: Path, lite0: EfficientNetLite0
) -> None:
    features = features_of(make_recipe("visual", SMALL).build(), clip_path, 4.0)
    image = torch.from_numpy(read_images(clip_path)[40].transpose(2, 0, 1).copy())
    cropped = center_crop(resize(image, [128]), [128]).float()
    with torch.inference_mode():
        alone = lite0((cropped[None] - 127) / 128)[0].numpy()
    assert features.shape == (151, 1280)
    assert features[40] == pytest.approx(alone, rel=2e-3, abs=1e-3)  # float16
    assert (features[61:] == 0).all()  # 4 s reach into 61 frames


@pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="needs real recordings")
def test_lite0_recognizes_a_real_bird(lite0: EfficientNetLite0) -> None:
    images = np.stack(read_images(REAL_MEDIA / "imageio_cockatoo.mp4")[::15])
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    batch = torch.nn.functional.interpolate(batch, (224, 398), mode="bilinear", antialias=True)
    with torch.inference_mode():
        logits = lite0.classify((batch[:, :, :, 87:311] - 127) / 128)
    assert logits.softmax(1).mean(0).argmax() == 89  # ImageNet's sulphur-crested cockatoo


def test_a_center_crop_smaller_than_the_network_expects_works(clip_path: Path) -> None:
    params = SMALL.model_copy(update={"resize_size": 75, "crop_size": 75})  # odd: other padding
    features = features_of(make_recipe("visual", params).build(), clip_path, 4.0)
    assert np.isfinite(features).all()
