"""Find the media that a command names, as files and as folders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsed.dataset.names import has_media_extension
from avsed.errors import AvsedError


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A file to predict.

    Attributes:
        path: the file.
        folder: the folder that was named, if the file was found in it.
    """

    path: Path
    folder: Path | None = None

    @property
    def name(self) -> str:
        """Its name in results: of a file in a folder, the path from there.

        Unprintable characters are replaced.
        """
        name = self.path.relative_to(self.folder).as_posix() if self.folder else self.path.name
        return "".join(letter if letter.isprintable() else "?" for letter in name)


def find_media_files(paths: Sequence[Path]) -> list[MediaFile]:
    """List the named files, and all media in the named folders and the folders in these.

    In a folder, files without an extension of media and hidden ones are ignored. A file that is
    named must exist only when it is predicted, so that the others are.

    Raises:
        AvsedError: if a folder has no media.
    """
    found = []
    for path in paths:
        if path.is_dir():
            media = [MediaFile(path=each, folder=path) for each in _media_below(path)]
            if not media:
                raise AvsedError(
                    f"{path}: contains no files with an extension of media; name the files "
                    "themselves if theirs are unusual"
                )
            found += media
        else:
            found.append(MediaFile(path=path))
    return found


def _media_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if has_media_extension(path.name) and not is_hidden and path.is_file():
            yield path
