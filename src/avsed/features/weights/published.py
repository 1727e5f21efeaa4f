"""Files of pretrained weights at a URL, kept in torch's cache."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from avsed.errors import AvsedError
from avsed.runtime.files import file_sha256


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """A state dict at a URL.

    Attributes:
        url: of the file.
        sha256: of the file, in hexadecimal.
        licence: as its publisher states it; empty if none is stated.
    """

    url: str
    sha256: str
    licence: str = ""

    @property
    def origin(self) -> str:
        """Where the weights come from, for messages and model cards."""
        return self.url

    @property
    def path(self) -> Path:
        """The local file, in torch's cache, which other programs share."""
        return weights_cache() / self.url.rsplit("/", 1)[1]

    def fetch(self) -> Path:
        """Return the local file; download it if it is missing.

        Raises:
            AvsedError: if it cannot be downloaded, or is another file than the published one.
        """
        path = self.path
        pooch.get_logger().setLevel("ERROR")
        if not path.is_file():
            print(f"fetching {self.url}", flush=True)
        try:
            # Checked each time: the file may have been put there by hand.
            pooch.retrieve(
                self.url,
                known_hash=f"sha256:{self.sha256}",
                fname=path.name,
                path=path.parent,
                progressbar=True,
            )
        except (OSError, ValueError) as error:  # of the network, of the disk; another hash
            reason = " ".join(str(error).split())
            if path.is_file() and file_sha256(path) != self.sha256:
                raise AvsedError(
                    f"{path}: is not the published file (its SHA-256 is not "
                    f"{self.sha256[:8]}...), and {self.url} cannot be downloaded ({reason})"
                ) from None
            raise AvsedError(
                f"{self.url}: cannot be downloaded ({reason}); put the file into "
                f"{path.parent}, or give its path as the weights"
            ) from None
        return path


def weights_cache() -> Path:
    """Return the folder where torch keeps downloaded weights."""
    home = os.environ.get("TORCH_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home or Path(cache) / "torch") / "hub" / "checkpoints"
