"""Predict many files, as many at once as the machine has cores and memory for."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from avsed.errors import AvsedError
from avsed.prediction.media_files import MediaFile
from avsed.prediction.predict import Detector, Prediction, predict
from avsed.runtime.limits import count_cores, free_memory

MEMORY_OF_FILE = 1_000_000_000  # bytes: four windows of images and the activations of a network
AHEAD = 2  # files for each thread that are predicted or wait to be written, at most


def predict_many(
    model: Detector, files: Sequence[MediaFile], *, shows_progress: bool = True
) -> Iterator[Prediction | AvsedError]:
    """Predict files in their order.

    Each file is predicted by one thread, with one thread of torch, which takes less time than files
    one after the other that each use all cores. The predictions are the same to the bit.

    Args:
        model: ready to score.
        files: media.
        shows_progress: whether to show a progress bar on a terminal if there is only one file.

    Yields:
        For each file, its prediction or why there is none.

    Raises:
        OSError: if the disk of temporary files is full.
    """

    def attempt(file: MediaFile, *, shows_progress: bool = False) -> Prediction | AvsedError:
        try:
            return predict(model, file.path, folder=file.folder, shows_progress=shows_progress)
        except AvsedError as error:
            return error

    n_threads = min(len(files), count_cores(), max(1, free_memory() // MEMORY_OF_FILE))
    if n_threads < 2:
        yield from (attempt(file, shows_progress=shows_progress) for file in files)
        return
    torch.get_num_threads()  # or the threads' setting would also apply to the caller
    pool = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
    waiting: deque[Future[Prediction | AvsedError]] = deque()
    try:
        for file in files:
            waiting.append(pool.submit(attempt, file))
            if len(waiting) > AHEAD * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
