"""The published weights of the pretrained networks: URL, checksum and local file."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from avsed.errors import AvsedError
from avsed.runtime.files import file_sha256


@dataclass(frozen=True)
class PublishedWeights:
    """A file of weights at a URL, and its SHA-256 in hexadecimal."""

    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """The local file, in torch's cache, which other programs share."""
        return _torch_cache() / self.url.rsplit("/", 1)[1]


# Converted from TensorFlow's by the project torchvggish.
VGGISH = PublishedWeights(
    "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
)
# torchvision's VGG16_Weights.IMAGENET1K_V1.
VGG16 = PublishedWeights(
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)


def find_weights(weights: str, published: PublishedWeights) -> Path | None:
    """Find a file of weights; download the published one if it is missing.

    Args:
        weights: "pretrained" (the published ones), "random" or the path of a state dict.
        published: where the published ones are.

    Returns:
        The file; None if the weights are random.

    Raises:
        AvsedError: if there is no such file, it cannot be downloaded, or it is another than the
            published one.
    """
    if weights == "random":
        return None
    if weights == "pretrained":
        return _fetch(published)
    if not Path(weights).is_file():
        raise AvsedError(
            f"{weights}: weights not found; use pretrained, random or the path of a state dict"
        )
    return Path(weights)


def _fetch(published: PublishedWeights) -> Path:
    path = published.path
    pooch.get_logger().setLevel("ERROR")
    if not path.is_file():
        print(f"fetching {published.url}", flush=True)
    try:
        # Checked each time: the file may have been put there by hand.
        pooch.retrieve(
            published.url,
            known_hash=f"sha256:{published.sha256}",
            fname=path.name,
            path=path.parent,
            progressbar=True,
        )
    except (OSError, ValueError) as error:  # of the network, of the disk; another hash
        reason = " ".join(str(error).split())
        if path.is_file() and file_sha256(path) != published.sha256:
            raise AvsedError(
                f"{path}: is not the published file (its SHA-256 is not "
                f"{published.sha256[:8]}...), and {published.url} cannot be downloaded ({reason})"
            ) from None
        raise AvsedError(
            f"{published.url}: cannot be downloaded ({reason}); put the file into "
            f"{path.parent}, or give its path as the weights"
        ) from None
    return path


def _torch_cache() -> Path:
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home or Path(cache) / "torch") / "hub" / "checkpoints"
