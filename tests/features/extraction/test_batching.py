"""Batches across clips are full, and do not affect the features of any clip."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from avsed.dataset.media import Media
from avsed.features.extraction.batching import embed_clips
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene
from tests.conftest import clip_record
from tests.helpers.extractors import extractor

RATE = 8_000


def embed(extractors: dict[str, Extractor], paths: list[Path]) -> dict[str, dict[str, np.ndarray]]:
    records = [replace(clip_record(path.stem), file=path.name) for path in paths]
    found = embed_clips(
        extractors, dict.fromkeys(extractors, records), clips_dir=paths[0].parent, on_clip=int
    )
    return {kind: features.features for kind, features in found.items()}


@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_rows_of_several_clips_share_batches_and_come_back_to_their_own(
    batch_size: int, tmp_path: Path
) -> None:
    # Clip n has n rows, each of its own value; frames take them in reverse.
    sizes: list[int] = []
    paths = []
    for n in range(1, 8):
        paths.append(tmp_path / f"clip-{n}.wav")
        soundfile.write(paths[-1], np.zeros(1000 * n), RATE)

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        n = len(media.waveforms[RATE]) // 1000
        return ClipInputs(rows=10.0 * n + torch.arange(n)[:, None], index=np.arange(n)[::-1])

    def network(rows: Tensor) -> Tensor:
        sizes.append(len(rows))
        return rows + 1000.0

    spec = FeatureSpec(kind="auditory", stream="audio", n_frames=9, dims=1, provenance={})
    extractor = Extractor(
        spec=spec,
        sample_rate=RATE,
        each_image=None,
        prepare=prepare,
        embed=network,
        batch_size=batch_size,
    )
    found = embed({"auditory": extractor}, paths)["auditory"]
    for n in range(1, 8):
        expected = [1000.0 + 10 * n + i for i in reversed(range(n))] + [0.0] * (9 - n)
        assert found[f"clip-{n}"][:, 0].tolist() == expected
    n_rows = 1 + 2 + 3 + 4 + 5 + 6 + 7
    assert sizes == [batch_size] * -(-n_rows // batch_size)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_row_may_have_an_output_for_each_of_several_frames(
    batch_size: int, tmp_path: Path
) -> None:
    # Clip n has n rows, of two frames each.
    paths = []
    for n in range(1, 4):
        paths.append(tmp_path / f"clip-{n}.wav")
        soundfile.write(paths[-1], np.zeros(1000 * n), RATE)

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        n = len(media.waveforms[RATE]) // 1000
        return ClipInputs(rows=10.0 * n + torch.arange(n)[:, None], index=np.arange(2 * n))

    def network(rows: Tensor) -> Tensor:
        return torch.stack([rows, rows + 0.5], 1)

    spec = FeatureSpec(kind="auditory", stream="audio", n_frames=7, dims=1, provenance={})
    extractor = Extractor(
        spec=spec,
        sample_rate=RATE,
        each_image=None,
        prepare=prepare,
        embed=network,
        batch_size=batch_size,
    )
    found = embed({"auditory": extractor}, paths)["auditory"]
    assert found["clip-1"][:, 0].tolist() == [10, 10.5, 0, 0, 0, 0, 0]
    assert found["clip-3"][:, 0].tolist() == [30, 30.5, 31, 31.5, 32, 32.5, 0]


def with_few_rows(extractor: Extractor, n_rows: int) -> Extractor:
    """Limit the rows of each clip, because the network's time depends on their number."""

    def prepare(media: Media[Any], duration: float) -> ClipInputs:
        inputs = extractor.prepare(media, duration)
        return ClipInputs(rows=inputs.rows[:n_rows], index=np.minimum(inputs.index, n_rows - 1))

    return replace(extractor, prepare=prepare)


@pytest.mark.slow
def test_a_clips_features_do_not_depend_on_the_clips_beside_it(tmp_path: Path) -> None:
    # The first batch of a network ends within the second clip, except for `auditory`, whose batch
    # is one clip.
    extractors = {
        "spectral": extractor("spectral"),
        "auditory": extractor("auditory"),
        "auditory_centered": with_few_rows(extractor("auditory_centered"), 20),
        "visual": with_few_rows(extractor("visual"), 10),
    }
    assert 20 < extractors["auditory_centered"].batch_size < 40
    assert 10 < extractors["visual"].batch_size < 20
    paths = [tmp_path / f"clip-{n}.mp4" for n in range(2)]
    for n, path in enumerate(paths):
        scene: dict[str, Any] = {"duration": 2.0 + n, "events": (), "background_level": -30.0}
        render_clip(Scene(clip_id=path.stem, seed=n, **scene), path)
    together = embed(extractors, paths)
    for path in paths:
        alone = embed(extractors, [path])
        for kind in extractors:
            assert np.array_equal(together[kind][path.stem], alone[kind][path.stem]), kind
