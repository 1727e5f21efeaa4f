"""The paper's three kinds of features: sizes, independently computed values, and alignment."""

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.models import VGG16_Weights
from torchvision.models import vgg16 as torchvision_vgg16

from avsed.errors import AvsedError
from avsed.features import spectral
from avsed.features.networks import efficientnet_b0, vgg16, vggish
from avsed.features.networks.log_mel_examples import log_mel_examples, log_mel_frames
from avsed.features.networks.vggish import Vggish, check_response
from avsed.features.spectral import hann_window, log_mel, mel_filters
from avsed.features.weights.load import load_weights
from avsed.features.weights.published import PublishedWeights
from avsed.params import Spectral
from avsed.runtime.device import choose_device, choose_dtype
from avsed.runtime.files import file_sha256
from tests.conftest import features_of, read_audio, read_images
from tests.helpers.extractors import extractor
from tests.helpers.quiet_server import QuietHandler

SPECTRAL = Spectral(window_length=2048, log_floor=1e-5)
NOWHERE = PublishedWeights(url="http://127.0.0.1:9/weights.pth", sha256="0" * 64)


def sine(frequency: float, sample_rate: int, duration: float = 10.0) -> NDArray[np.float32]:
    times = np.arange(int(duration * sample_rate)) / sample_rate
    return np.sin(2 * np.pi * frequency * times).astype(np.float32)


def test_ten_seconds_give_604_spectral_frames_of_128_bands() -> None:
    assert log_mel(sine(1000, 22_100), SPECTRAL).shape == (604, 128)


@pytest.mark.parametrize("window_length", [2048, 1103])
def test_the_spectrogram_is_librosas(window_length: int) -> None:
    params = Spectral(window_length=window_length, log_floor=1e-5)
    filters = librosa.filters.mel(sr=22_100, n_fft=window_length, n_mels=128, dtype=np.float64)
    assert mel_filters(window_length) == pytest.approx(filters.T, abs=1e-14)
    hann = librosa.filters.get_window("hann", window_length, fftbins=True)
    assert hann_window(window_length) == pytest.approx(hann, abs=1e-14)
    noise = np.random.default_rng(0).standard_normal(221_000).astype(np.float32)
    noise /= np.abs(noise).max()
    mel = librosa.feature.melspectrogram(
        y=noise, sr=22_100, n_fft=window_length, hop_length=366, n_mels=128, power=1.0
    )
    decibels = librosa.amplitude_to_db(mel, ref=1.0, amin=1e-5, top_db=None)
    assert log_mel(noise, params) == pytest.approx(decibels.T, abs=2e-5)


def test_a_tone_lies_in_the_band_around_its_frequency() -> None:
    # Slaney's mel scale is linear up to 1 kHz: 200/3 Hz a mel. 11,050 Hz are 15 + 27 ln(11.05)
    # / ln(6.4) = 49.94 mel, so that 600 Hz, 9 mel, fall on edge 9 / 49.94 x 129 = 23.2.
    decibels = log_mel(sine(600, 22_100), SPECTRAL)
    assert decibels[300].argmax() == 22  # band b peaks at edge b + 1


def test_loudness_before_the_peak_is_divided_out_changes_nothing() -> None:
    loud, soft = sine(600, 22_100), 0.01 * sine(600, 22_100)
    assert log_mel(loud, SPECTRAL) == pytest.approx(log_mel(soft, SPECTRAL), abs=0.01)


def test_silence_and_padding_lie_on_the_floor() -> None:
    assert (log_mel(np.zeros(22_100, np.float32), SPECTRAL) < -99.9).all()
    padded = log_mel(sine(600, 22_100, duration=5.0), SPECTRAL)
    assert (padded[306:] < -99.9).all()  # 5 s are 302 hops; the window reaches 3 further
    assert (padded[:300].max(axis=1) > -30).all()


def test_examples_are_96_frames_of_64_bands_every_60_ms() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    examples = log_mel_examples(waveform, "paper", log_offset=0.01)
    frames = log_mel_frames(waveform, log_offset=0.01)
    assert examples.shape == (151, 96, 64)
    assert frames.shape == (6 * 150 + 96, 64)
    for k in (0, 1, 77, 150):
        assert (examples[k] == frames[6 * k : 6 * k + 96]).all()


def test_the_front_end_agrees_with_a_literal_reading_of_the_reference() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    n, frame = 3, 41
    start = 960 * n + 160 * frame
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    spectrum = np.abs(np.fft.rfft(waveform[start : start + 400] * window, 512))
    mels = 1127 * np.log(1 + np.arange(257) * 8000 / 256 / 700)
    edges = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    bands = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        slopes = np.minimum((mels - low) / (middle - low), (high - mels) / (high - middle))
        weights = np.maximum(slopes, 0)
        weights[0] = 0
        bands.append(np.log(spectrum @ weights + 0.01))
    assert log_mel_examples(waveform, "paper", log_offset=0.01)[n, frame] == pytest.approx(
        bands, abs=1e-4
    )


@pytest.mark.parametrize(("alignment", "hop"), [("paper", 0.06), ("centered", 0.06624)])
def test_a_click_lies_in_the_middle_of_the_example_that_is_due(
    alignment: Literal["paper", "centered"], hop: float
) -> None:
    waveform = np.zeros(160_000, np.float32)
    waveform[80_000] = 1.0
    examples = log_mel_examples(waveform, alignment, log_offset=0.01)
    energy = examples.sum(axis=2)  # (151, 96)
    with_click = [k for k in range(151) if energy[k].max() > energy[0].min() + 1]
    middle = min(with_click, key=lambda k: abs(energy[k].argmax() - 47.5))
    # In the paper's alignment an example starts at its frame; in ours its middle lies there.
    due = (5.0 - 0.48) / hop if alignment == "paper" else 5.0 / hop
    assert middle == pytest.approx(due, abs=1.0)


def test_vggish_has_the_parameters_of_the_published_state_dict() -> None:
    shapes = {name: tuple(value.shape) for name, value in Vggish("relu").state_dict().items()}
    convolutions = {0: (64, 1), 3: (128, 64), 6: (256, 128), 8: (256, 256)}
    convolutions |= {11: (512, 256), 13: (512, 512)}
    expected: dict[str, tuple[int, ...]]
    expected = {f"features.{i}.weight": (*size, 3, 3) for i, size in convolutions.items()}
    expected |= {f"features.{i}.bias": size[:1] for i, size in convolutions.items()}
    linear = {0: (4096, 12288), 2: (4096, 4096), 4: (128, 4096)}
    expected |= {f"embeddings.{i}.weight": size for i, size in linear.items()}
    expected |= {f"embeddings.{i}.bias": size[:1] for i, size in linear.items()}
    assert shapes == expected


@pytest.fixture(scope="module")
def random_vggish() -> Vggish:
    """Build a VGGish with random weights."""
    network = Vggish("relu")
    load_weights(network, "random", NOWHERE)
    return network


@pytest.mark.slow
def test_auditory_features_are_those_of_each_example_alone(
    clip_path: Path, random_vggish: Vggish
) -> None:
    features = features_of(extractor("auditory", precision="float32"), clip_path, 4.0)
    examples = log_mel_examples(read_audio(clip_path, 16_000), "paper", log_offset=0.01)
    with torch.inference_mode():
        alone = random_vggish(torch.from_numpy(examples[[7]])).numpy()
    assert features.shape == (151, 128)
    assert features[7] == pytest.approx(alone[0], rel=2e-3, abs=1e-4)  # float16


@pytest.mark.slow
def test_visual_features_are_those_of_each_picture_alone(clip_path: Path) -> None:
    features = features_of(extractor("visual", precision="float32"), clip_path, 4.0)
    network = torchvision_vgg16(weights=None).eval()
    load_weights(network, "random", NOWHERE)
    images = read_images(clip_path)
    transform = VGG16_Weights.IMAGENET1K_V1.transforms(crop_size=64, resize_size=64)
    with torch.inference_mode():
        batch = transform(torch.from_numpy(images[40].transpose(2, 0, 1).copy()))[None]
        alone = network.classifier[:5](network.avgpool(network.features(batch)).flatten(1))
    assert features.shape == (151, 4096)
    assert features[40] == pytest.approx(alone[0].numpy(), rel=2e-3, abs=1e-3)
    assert (features[61:] == 0).all()  # 4 s reach into 61 frames
    assert (features[60] != 0).any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["auditory", "visual"])
def test_bfloat16_features_point_where_those_of_float32_do(kind: str, clip_path: Path) -> None:
    if choose_dtype(choose_device(), "auto") == torch.float32:
        pytest.skip("this machine gains nothing by bfloat16")
    fast, exact = (
        features_of(extractor(kind, precision=precision), clip_path, 4.0)[:60]
        for precision in ("auto", "float32")
    )
    lengths = np.linalg.norm(fast, axis=1) * np.linalg.norm(exact, axis=1)
    cosines = (fast * exact).sum(axis=1) / lengths
    assert cosines.min() > 0.97


@pytest.mark.slow
def test_random_weights_are_the_same_each_time_and_keep_the_scale(random_vggish: Vggish) -> None:
    second = Vggish("none")
    load_weights(second, "random", NOWHERE)
    assert all(map(torch.equal, random_vggish.parameters(), second.parameters()))
    with torch.inference_mode():
        outputs = second(torch.randn(4, 96, 64, generator=torch.Generator().manual_seed(0)))
    assert 0.1 < outputs.std() < 10


def test_weights_are_read_from_a_file(tmp_path: Path) -> None:
    source, target = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    load_weights(target, str(tmp_path / "weights.pth"), NOWHERE)
    assert (target.weight == source.weight).all()


def test_weights_become_float32(tmp_path: Path) -> None:
    source, target = torch.nn.BatchNorm1d(3).half(), torch.nn.BatchNorm1d(3)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    load_weights(target, str(tmp_path / "weights.pth"), NOWHERE)
    dtypes = {name: values.dtype for name, values in target.state_dict().items()}
    assert dtypes.pop("num_batches_tracked") == torch.int64
    assert set(dtypes.values()) == {torch.float32}


@pytest.mark.parametrize("layer", [torch.nn.BatchNorm2d, torch.nn.InstanceNorm2d])
def test_random_weights_do_not_depend_on_initial_ones(
    layer: Callable[..., torch.nn.Module],
) -> None:
    def build() -> torch.nn.Module:
        norm = layer(4, affine=True, track_running_stats=True)
        return torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), norm, torch.nn.LayerNorm(5))

    expected = build()
    with torch.device("meta"):
        network = build()
    found = load_weights(expected, "random", NOWHERE)
    assert load_weights(network, "random", NOWHERE) == found
    state = network.state_dict()
    assert len(state) == 9
    for name, values in expected.state_dict().items():
        assert torch.equal(state[name], values), name


# Loads 100 MB of weights, and prints by how many MB that raises the peak of memory.
LOADING = """
import sys
from pathlib import Path
import torch
from avsed.features.weights.load import load_weights
from avsed.features.weights.published import PublishedWeights

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1000

with torch.device("meta"):
    network = torch.nn.Linear(5_000, 5_000)
before = peak()
load_weights(network, sys.argv[1], PublishedWeights(url="", sha256=""))
network(torch.ones(5_000))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_large_network_is_loaded_without_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(torch.nn.Linear(5_000, 5_000).state_dict(), path)
    command = [sys.executable, "-c", LOADING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 90 < float(done.stdout) < 150


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_weights_that_are_none_are_refused_and_run_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    none = r"weights.pth: contains no weights that PyTorch can read; fetch it again from"
    others = r"weights.pth: is not a state dict of Linear \(size mismatch for weight: .*\); fetch"
    refused: list[tuple[bytes, str]] = [(b"<html>404</html>", none), (b"", none)]
    torch.save(Hostile(tmp_path / "touched"), path)
    refused.append((path.read_bytes(), none))
    torch.save([1, 2], path)
    refused.append((path.read_bytes(), r"is not a state dict of Linear \(not a state dict\)"))
    torch.save(torch.nn.Linear(2, 4).state_dict(), path)
    refused.append((path.read_bytes(), others))
    refused.append((path.read_bytes()[:-300], none))
    for content, message in refused:
        path.write_bytes(content)
        with pytest.raises(AvsedError, match=message) as caught:
            load_weights(torch.nn.Linear(2, 3), str(path), NOWHERE)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "touched").exists()


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"nowhere.pth: weights not found; use pretrained,"):
        load_weights(torch.nn.Linear(2, 3), str(tmp_path / "nowhere.pth"), NOWHERE)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedWeights]:
    """Publish the weights of a layer on loopback."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    path = tmp_path / "layer.pth"
    torch.save(torch.nn.Linear(2, 3).state_dict(), path)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/layer.pth"
        yield PublishedWeights(url=url, sha256=file_sha256(path))
        server.shutdown()


def test_pretrained_weights_are_fetched_once_and_checked(
    published: PublishedWeights, tmp_path: Path
) -> None:
    layer = torch.nn.Linear(2, 3)
    assert load_weights(layer, "pretrained", published)["weights_sha256"] == (published.sha256)
    assert published.path == tmp_path / "cache" / "hub" / "checkpoints" / "layer.pth"
    (tmp_path / "layer.pth").unlink()
    assert load_weights(layer, "pretrained", published)["weights_sha256"] == (published.sha256)


def test_a_file_that_is_not_the_published_one_is_refused(
    published: PublishedWeights, tmp_path: Path
) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "layer.pth")
    with pytest.raises(AvsedError, match=r"layer.pth: cannot be downloaded .*[hH]ash"):
        load_weights(torch.nn.Linear(2, 3), "pretrained", published)
    assert not published.path.exists()


def test_a_wrong_file_in_torchs_cache_is_replaced(published: PublishedWeights) -> None:
    published.path.parent.mkdir(parents=True)
    published.path.write_text("<html>404</html>")
    assert load_weights(torch.nn.Linear(2, 3), "pretrained", published)["weights_sha256"] == (
        published.sha256
    )


def test_a_wrong_file_that_cannot_be_replaced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    NOWHERE.path.parent.mkdir(parents=True)
    NOWHERE.path.write_text("<html>404</html>")
    with pytest.raises(AvsedError, match=r"weights.pth: is not the published file") as caught:
        load_weights(torch.nn.Linear(2, 3), "pretrained", NOWHERE)
    assert "\n" not in str(caught.value)


def test_pretrained_weights_that_cannot_be_fetched_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(AvsedError, match=r"cannot be downloaded .* put the file into"):
        load_weights(torch.nn.Linear(2, 3), "pretrained", NOWHERE)


def test_published_hashes_are_those_that_the_files_names_begin() -> None:
    for published in (vggish.PUBLISHED, vgg16.PUBLISHED, efficientnet_b0.PUBLISHED):
        assert len(published.sha256) == 64
        assert published.path.stem.endswith(f"-{published.sha256[:8]}")


def test_a_network_that_does_not_respond_as_published_is_refused(random_vggish: Vggish) -> None:
    with pytest.raises(AvsedError, match=r"answers a sine of 1 kHz with mean .* 0.131 and 0.238"):
        check_response(random_vggish, "relu")


@pytest.mark.parametrize(
    ("activation", "mean", "deviation"), [("relu", 0.131, 0.238), ("none", -0.0333, 0.380)]
)
def test_a_network_that_responds_as_published_is_let_through(
    activation: Literal["relu", "none"], mean: float, deviation: float
) -> None:
    network = Vggish(activation)
    respond(network, mean, deviation)
    check_response(network, activation)
    respond(network, mean, 1.2 * deviation)
    with pytest.raises(AvsedError, match="answers a sine"):
        check_response(network, activation)


def respond(network: Vggish, mean: float, deviation: float) -> None:
    """Set the weights so that all embeddings have the given mean and deviation."""
    last = network.embeddings[4]
    assert isinstance(last, torch.nn.Linear)
    share = 29 / 128  # of the values are high, so few that the low ones pass the ReLU
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(mean - deviation * (share / (1 - share)) ** 0.5)
        last.bias[:29] = mean + deviation * ((1 - share) / share) ** 0.5


def test_spectral_features_come_from_the_file(clip_path: Path) -> None:
    features = features_of(spectral.make_extractor(SPECTRAL), clip_path, 4.0)
    sounding, silent = features[4 * 20 : 4 * 40], features[4 * 65 :]
    assert sounding.max() > -20
    assert silent.max() < -99.9
