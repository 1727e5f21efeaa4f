"""Write matplotlib figures to files."""

from pathlib import Path

from matplotlib.figure import Figure

from avsed.errors import DISK_FULL, AvsedError
from avsed.runtime.files import atomic_write


def require_drawable(path: Path) -> None:
    """Check, before any work, that a figure can be written to a path.

    Raises:
        AvsedError: if it is a folder, or its extension is not a known format.
    """
    if path.is_dir():
        raise AvsedError(f"{path}: cannot be drawn (is a folder); name a .png in it")
    if path.suffix[1:].lower() not in Figure().canvas.get_supported_filetypes():
        raise AvsedError(
            f"{path}: cannot be drawn (its extension names no format); name a .png elsewhere"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file, in the format given by its extension.

    Raises:
        AvsedError: if it cannot be written there.
        OSError: if the disk is full.
    """
    try:
        path.parent.stat()  # a missing folder is a mistake: do not create it
        with atomic_write(path) as part:
            figure.savefig(part)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise AvsedError(f"{path}: cannot be drawn ({error}); name a .png elsewhere") from None
