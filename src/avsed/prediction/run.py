"""The command `avsed predict`: score files, print the results and write the requested outputs."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from avsed.errors import DISK_FULL, AvsedError
from avsed.prediction.files import ResultsFolder, format_prediction
from avsed.prediction.formats import DEFAULT_FORMATS, FormatName
from avsed.prediction.many import predict_many
from avsed.prediction.media_files import MediaFile, find_media_files
from avsed.prediction.predict import Detector, Prediction
from avsed.runtime.process import say_error


def predict_files(
    open_model: Callable[[], Detector],
    paths: Sequence[Path],
    *,
    out_dir: Path | None,
    plot_path: Path | None,
    page_path: Path | None,
    formats: Sequence[FormatName] = DEFAULT_FORMATS,
    shows_progress: bool = True,
) -> int:
    """Predict files; those that cannot be scored are named and counted.

    Files whose results `out_dir` has, from the same model and settings, are not predicted again.

    Args:
        open_model: loads what scores them, once the outputs are known to be possible.
        paths: media, and folders of media.
        out_dir: folder for the results of all files; None to write none.
        plot_path: plot of the only file; None to draw none.
        page_path: page of the only file; None to write none.
        formats: of the results in `out_dir`.
        shows_progress: whether to show a progress bar on a terminal.

    Returns:
        The number of files that could not be scored.

    Raises:
        AvsedError: if a folder has no media, the model cannot be used, or an output cannot be
            written.
    """
    files = find_media_files(paths)
    _require_places(files, out_dir, plot_path, page_path)
    results = ResultsFolder(out_dir, formats) if out_dir else None
    if results:
        for file in files:
            results.require_own(file)
    model = open_model()
    for warning in model.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    left = [file for file in files if not (results and results.has(file, model.settings))]
    if len(left) < len(files):
        print(f"{len(files) - len(left)} of {len(files)} files have their results in {out_dir}")
    n_failed = 0
    with _lists_of(results), _progress(left, shows_progress=shows_progress) as progress:
        predictions = predict_many(model, left, shows_progress=shows_progress)
        for file, prediction in zip(left, predictions, strict=True):
            with progress.external_write_mode():
                if isinstance(prediction, AvsedError):
                    say_error(prediction)
                    n_failed += 1
                else:
                    _print(prediction)
                    if results and out_dir:
                        with _writing(out_dir):
                            results.add(prediction)
                            results.finish(file, model.settings)
                    _draw(prediction, plot_path, page_path)
            progress.update()
    if n_failed and len(files) > 1:
        print(f"{n_failed} of {len(files)} files could not be scored", file=sys.stderr)
    return n_failed


@contextmanager
def _lists_of(results: ResultsFolder | None) -> Iterator[None]:
    """Write the lists at the end, also after an error or an interrupt."""
    try:
        yield
    finally:
        if results:
            results.write_lists()


def _progress(files: Sequence[MediaFile], *, shows_progress: bool) -> "tqdm[NoReturn]":
    is_shown = shows_progress and len(files) > 1
    # None: disabled unless on a terminal.
    return tqdm(total=len(files), unit="file", leave=False, disable=None if is_shown else True)


def _print(prediction: Prediction) -> None:
    print(format_prediction(prediction), flush=True)
    if prediction.warning:
        print(f"warning: {prediction.path}: {prediction.warning}", file=sys.stderr)


def _draw(prediction: Prediction, plot_path: Path | None, page_path: Path | None) -> None:
    if plot_path:
        from avsed.prediction.plot import plot_prediction  # matplotlib takes half a second

        with _writing(plot_path):
            plot_prediction(prediction, plot_path)
    if page_path:
        from avsed.prediction.page import write_page

        with _writing(page_path):
            write_page(prediction, page_path)


def _require_places(
    files: Sequence[MediaFile],
    out_dir: Path | None,
    plot_path: Path | None,
    page_path: Path | None,
) -> None:
    """Reject outputs that could not be written, before hours of work."""
    if len(files) > 1 and (plot_path or page_path):
        raise AvsedError("--plot and --html require a single file; give one file, or omit them")
    media = {file.path.resolve() for file in files}
    for path in filter(None, (plot_path, page_path)):
        if path.resolve() in media:
            raise AvsedError(f"{path}: is an input and would be overwritten; name another file")
        if path.is_dir():
            raise AvsedError(f"{path}: cannot be written (is a folder); name a file in it")
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    if plot_path:
        from avsed.runtime.figure_file import require_drawable

        require_drawable(plot_path)
    if out_dir:
        _require_names(files, out_dir)
        with _writing(out_dir):
            out_dir.mkdir(parents=True, exist_ok=True)


def _require_names(files: Sequence[MediaFile], out_dir: Path) -> None:
    for file in files:
        if set(str(file.path)).intersection("\t\n\r"):
            raise AvsedError(
                f"{str(file.path)!r}: lists cannot contain tabs or line breaks; rename the file"
            )
    twice = [name for name, n in Counter(file.name for file in files).items() if n > 1]
    if twice:
        raise AvsedError(
            f"{twice[0]}: two files of this name would overwrite each other in {out_dir}; "
            "predict them one by one, each with its own --out, or the folder that has both"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise AvsedError(f"{path}: cannot be written ({error.strerror}); name another") from None
