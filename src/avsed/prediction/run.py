"""The command `avsed predict`: score files, print the results and write the requested outputs."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from avsed.errors import DISK_FULL, AvsedError
from avsed.prediction.files import ResultsFolder, format_prediction, require_own_results
from avsed.prediction.formats import DEFAULT_FORMATS, FormatName
from avsed.prediction.predict import Detector, predict
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
    """Predict files one after the other; those that cannot be scored are named and counted.

    Args:
        open_model: loads what scores them, once the outputs are known to be possible.
        paths: media.
        out_dir: folder for the results of all files; None to write none.
        plot_path: plot of the only file; None to draw none.
        page_path: page of the only file; None to write none.
        formats: of the results in `out_dir`.
        shows_progress: whether to show a progress bar on a terminal.

    Returns:
        The number of files that could not be scored.

    Raises:
        AvsedError: if the model cannot be used, or an output cannot be written.
    """
    _require_places(paths, out_dir, plot_path, page_path)
    model = open_model()
    for warning in model.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    n_failed = 0
    results = ResultsFolder(out_dir, formats) if out_dir else None
    for path in paths:
        try:
            prediction = predict(model, path, shows_progress=shows_progress)
        except AvsedError as error:
            say_error(error)
            n_failed += 1
            continue
        print(format_prediction(prediction), flush=True)
        if prediction.warning:
            print(f"warning: {path}: {prediction.warning}", file=sys.stderr)
        if out_dir and results:
            with _writing(out_dir):
                results.add(prediction)
        if plot_path:
            from avsed.prediction.plot import plot_prediction  # matplotlib takes half a second

            with _writing(plot_path):
                plot_prediction(prediction, plot_path)
        if page_path:
            from avsed.prediction.page import write_page

            with _writing(page_path):
                write_page(prediction, page_path)
    if n_failed and len(paths) > 1:
        print(f"{n_failed} of {len(paths)} files could not be scored", file=sys.stderr)
    return n_failed


def _require_places(
    paths: Sequence[Path], out_dir: Path | None, plot_path: Path | None, page_path: Path | None
) -> None:
    """Reject outputs that could not be written, before hours of work."""
    if len(paths) > 1 and (plot_path or page_path):
        raise AvsedError("--plot and --html require a single file; give one file, or omit them")
    media = {path.resolve() for path in paths}
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
    for path in paths:
        if out_dir and set(path.name).intersection("\t\n\r"):
            raise AvsedError(
                f"{path.name!r}: lists cannot contain tabs or line breaks; rename the file"
            )
    twice = [name for name, n in Counter(path.name for path in paths).items() if n > 1]
    if out_dir and twice:
        raise AvsedError(
            f"{twice[0]}: two files of this name would overwrite each other in {out_dir}; "
            "predict them one by one, each with its own --out"
        )
    if out_dir:
        for path in paths:
            require_own_results(path, out_dir)
        with _writing(out_dir):
            out_dir.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise AvsedError(f"{path}: cannot be written ({error.strerror}); name another") from None
