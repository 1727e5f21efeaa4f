"""Hundreds of corrupted media: reported, in bounded time and memory."""

import random
import resource
import struct
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from avsed.dataset import ffmpeg
from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import TIME_LIMIT, DecodeError, ffmpeg_path
from avsed.dataset.header import MAX_PIXELS
from avsed.dataset.inspection import inspect_clip, probe
from avsed.dataset.media import TOLERANCE, Image, Media, read_media
from avsed.errors import AvsedError
from avsed.features.extraction.batching import embed_clips
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.features.spectral import make_extractor as make_spectral
from avsed.framing import N_FRAMES, frame_onset, valid_frames
from avsed.params import Spectral
from avsed.prediction import windows
from avsed.prediction.predict import predict
from avsed.prediction.trained_model import load_model
from avsed.prediction.windows import LONGEST, read_windows
from tests.helpers.models import write_model

FORMS = ("mp4", "wav", "ogg", "webm")
DURATION = 4.0
SIZE = (64, 96)
CLIP_TIME = TIME_LIMIT  # seconds, of decoding a corrupted clip as collect and extract do
FFMPEG_MEMORY = 500 * 2**20  # bytes; whole clips take 50
OWN_MEMORY = 300 * 2**20  # bytes more than before
Mutation = Callable[[random.Random, dict[str, bytes], str], bytes]


def flip(rng: random.Random, content: bytes, first: int, end: int) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(first, end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_in_header(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    return flip(rng, whole[form], 0, 1024)


def flip_in_body(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    return flip(rng, whole[form], 1024, len(whole[form]))


def truncate(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    return whole[form][: rng.randrange(len(whole[form]))]


def splice(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    other = whole[rng.choice([name for name in FORMS if name != form])]
    length = rng.randrange(16, 4096)
    return other[:length] + whole[form][length:]


def declare(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    """Put an extreme number where the header has sizes, counts, dimensions, rates or times."""
    names = {
        "mp4": b"ftyp moov mvhd trak tkhd mdhd stsd avc1 mp4a stts stsc stsz stco elst mdat",
        "wav": b"RIFF fmt data LIST",
        "ogg": b"OggS vorbis theora",
        "webm": b"\x1a\x45\xdf\xa3 \x18\x53\x80\x67 \x16\x54\xae\x6b \xb0 \xba \x44\x89 OpusHead",
    }
    content = whole[form]
    name = rng.choice([word for word in names[form].split() if word in content])
    position = content.index(name)
    # A box's size stands before its name; of all else, something after it.
    position += rng.choice((-4, len(name), len(name) + rng.randrange(40)))
    value = rng.choice((0, 1, 2**16 - 1, 2**31 - 1, 2**32 - 1, rng.randrange(2**32)))
    number = struct.pack(rng.choice("<>") + "I", value)
    return content[: max(position, 0)] + number + content[max(position, 0) + 4 :]


def zero_range(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    content = whole[form]
    first = rng.randrange(len(content))
    length = min(rng.choice((16, 256, 4096, len(content))), len(content) - first)
    return content[:first] + bytes(length) + content[first + length :]


def duplicate_range(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    content = whole[form]
    first = rng.randrange(len(content))
    part = content[first : first + rng.choice((1, 100, 5000))]
    return content[:first] + part * rng.choice((2, 20)) + content[first + len(part) :]


def hide_streams(rng: random.Random, whole: dict[str, bytes], form: str) -> bytes:
    """Rename the parts of a file that define streams, so that some or all are missing."""
    names = {"mp4": b"trak", "wav": b"fmt ", "ogg": b"vorbis", "webm": b"\x16\x54\xae\x6b"}
    return whole[form].replace(names[form], b"void"[: len(names[form])], rng.choice((1, -1)))


MUTATIONS: tuple[Mutation, ...] = (
    flip_in_header,
    flip_in_body,
    truncate,
    splice,
    declare,
    declare,
    zero_range,
    duplicate_range,
    hide_streams,
)


def color_extractor() -> Extractor:
    """Set up visual features that need no network: the mean color of each picture."""

    def each_image(image: Image) -> torch.Tensor:
        return torch.from_numpy(image.mean((0, 1), dtype=np.float32))

    def prepare(decoded: Media[torch.Tensor], duration: float) -> ClipInputs:
        held = np.minimum(np.arange(valid_frames(duration)), len(decoded.image_index) - 1)
        return ClipInputs(rows=torch.stack([*decoded.images]), index=decoded.image_index[held])

    spec = FeatureSpec(kind="visual", stream="video", n_frames=N_FRAMES, dims=3, provenance={})
    return Extractor(
        spec=spec,
        sample_rate=None,
        each_image=each_image,
        prepare=prepare,
        embed=lambda rows: rows,
        batch_size=32,
    )


EXTRACTORS = {
    "spectral": make_spectral(Spectral(window_length=2048, log_floor=1e-5)),
    "visual": color_extractor(),
}


@dataclass(frozen=True)
class Outcome:
    """Results of collect and extract for a file."""

    record: ClipRecord
    features: dict[str, np.ndarray]
    left_out: dict[str, str]


def go_through(path: Path) -> Outcome:
    """Inspect a clip and compute its features, as the stages collect and extract do."""
    record = inspect_clip(path.stem, path)
    has = {"spectral": record.has_audio, "visual": record.has_video}
    wanted = {kind: [record] for kind in EXTRACTORS if has[kind]}
    found = embed_clips(
        {kind: EXTRACTORS[kind] for kind in wanted},
        wanted,
        clips_dir=path.parent,
        on_clip=lambda: None,
    )
    return Outcome(
        record,
        {kind: of_kind.features[path.stem] for kind, of_kind in found.items() if of_kind.features},
        {kind: of_kind.left_out[path.stem] for kind, of_kind in found.items() if of_kind.left_out},
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Create a clip of 4 s in each container."""
    folder = tmp_path_factory.mktemp("whole")
    inputs = [
        *("-f", "lavfi", "-i", f"testsrc=duration={DURATION}:size={SIZE[1]}x{SIZE[0]}:rate=5"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={DURATION}:sample_rate=16000"),
    ]
    options = {
        "mp4": ["-movflags", "+faststart", "-pix_fmt", "yuv420p", "-g", "10"],
        "wav": ["-map", "1"],
        "ogg": ["-c:v", "libtheora", "-c:a", "libvorbis"],
        "webm": ["-c:v", "libvpx", "-c:a", "libopus"],
    }
    for form in FORMS:
        command = [ffmpeg_path(), "-v", "error", *inputs, *options[form], str(folder / f"a.{form}")]
        subprocess.run(command, check=True)
    return {form: (folder / f"a.{form}").read_bytes() for form in FORMS}


def corruption(number: int, whole: dict[str, bytes]) -> tuple[str, str, bytes]:
    """Return corruption `number`: container, change and file."""
    rng = random.Random(number)  # noqa: S311
    form = FORMS[number % len(FORMS)]
    mutate = MUTATIONS[number // len(FORMS) % len(MUTATIONS)]
    return form, mutate.__name__, mutate(rng, whole, form)


def own_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # bytes


def attack(numbers: range, whole: dict[str, bytes], folder: Path) -> Counter[str]:
    """Run all corruptions; count those that are refused, reported, and not reported."""
    before = {}
    for form in FORMS:
        (folder / f"whole.{form}").write_bytes(whole[form])
        before[form] = go_through(folder / f"whole.{form}")
        assert before[form].record.status == "ok" and not before[form].record.reason
    own = own_memory()
    counts: Counter[str] = Counter()
    for number in numbers:
        form, mutation, content = corruption(number, whole)
        what = f"corruption {number}: {mutation} of {form}"
        path = folder / f"clip-{number}.{form}"
        path.write_bytes(content)
        started = time.monotonic()
        outcome = go_through(path)
        took = time.monotonic() - started
        assert took < CLIP_TIME, f"{what}: took {took:.0f} s"
        assert own_memory() <= own + OWN_MEMORY, what
        # A clip that wanted more was refused by ffmpeg's limit, which the test has set.
        assert "allocate memory" not in f"{outcome.record.reason} {outcome.left_out}", what
        counts[require_honest(what, outcome, before[form])] += 1
        path.unlink()
    return counts


def require_honest(what: str, outcome: Outcome, before: Outcome) -> str:
    """Compare the result of a corrupted clip with that of the whole one."""
    record = outcome.record
    said = f"{what}: {record}"
    assert "@ 0x" not in record.reason and "\n" not in record.reason, said
    if record.status != "ok":
        assert record.status == "failed" and record.reason and not record.has_audio, said
        return "refused"
    asked = {"spectral": record.has_audio, "visual": record.has_video}
    for kind, has_stream in asked.items():
        # Each stream has features or a reason.
        assert has_stream == ((kind in outcome.features) != (kind in outcome.left_out)), said
    for kind, features in outcome.features.items():
        spec = EXTRACTORS[kind].spec
        assert features.shape == (spec.n_frames, spec.dims), said
        assert np.isfinite(features).all(), said
    assert 0 < record.duration <= 10, said
    if record.reason or outcome.left_out:
        return "told of"
    if outcome.features.keys() != before.features.keys():
        return "told of"  # extract lists the clip in the kind's left_out.csv, as "has no video"
    if all(
        np.array_equal(outcome.features[kind], before.features[kind])
        for kind in asked
        if asked[kind]
    ):
        return "harmless"
    mutation, form = what.split(": ")[1].split(" of ")
    lost = before.record.duration - record.duration
    assert may_be_silent(mutation, form, lost), said
    return f"not told of: {mutation} of {form}"


def may_be_silent(mutation: str, form: str, lost: float) -> bool:
    """Return whether damage cannot be detected: no checksum, or an Ogg that ends early."""
    if form == "ogg":
        return mutation not in ("flip_in_header", "flip_in_body", "zero_range")
    return mutation != "truncate" or lost <= TOLERANCE


def test_corrupted_media_are_refused_or_told_of(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "MEMORY_LIMIT", FFMPEG_MEMORY)
    counts = attack(range(0, 108, 6), whole, tmp_path)
    assert sum(counts.values()) == 18
    assert counts["refused"] and counts["told of"]


@pytest.mark.attack
@pytest.mark.slow
def test_corrupted_media_by_the_hundred(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "MEMORY_LIMIT", FFMPEG_MEMORY)
    counts = attack(range(612), whole, tmp_path)
    print(dict(counts.most_common()))
    assert sum(counts.values()) == 612
    assert counts["refused"] > 50 and counts["told of"] > 50


def huge_png(width: int, height: int) -> bytes:
    """Create a black image of few bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + width // 8) * height), 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, content)
        for name, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def test_a_picture_larger_than_the_limit_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(huge_png(16_000, 16_000))
    assert MAX_PIXELS < 16_000**2
    monkeypatch.setattr(ffmpeg, "MEMORY_LIMIT", FFMPEG_MEMORY)
    with pytest.raises(DecodeError, match="Picture size 16000x16000 exceeds"):
        probe(path)


def test_an_ffmpeg_that_wants_more_memory_than_the_limit_fails_for_that_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(huge_png(8_000, 4_000))  # 96 MB in RGB
    assert probe(path).has_video
    monkeypatch.setattr(ffmpeg, "MEMORY_LIMIT", 80 * 2**20)
    with pytest.raises(DecodeError, match="video: "):
        probe(path)


def test_a_decoder_that_gives_up_stops_no_other_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho 'Error: Operation not permitted' >&2\nexit 255\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    decoded: Media[object] = read_media(tmp_path / "any.ogg", sample_rates=[16_000])
    assert decoded.errors == {"audio": "audio: Error: Operation not permitted"}


def test_a_file_whose_only_stream_has_no_codec_is_refused(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "unknown.wav"
    path.write_bytes(whole["wav"][:20] + b"\xee\xee" + whole["wav"][22:])
    with pytest.raises(DecodeError, match="has neither audio nor video"):
        probe(path)


def test_a_wav_cut_short_is_told_of(whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(whole["wav"][:64_044])
    assert probe(path).warning == "is shorter than its header says"


def test_an_ffmpeg_that_floods_its_log_is_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho first >&2\nyes flood | head -c 9000000 >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    monkeypatch.setattr(ffmpeg, "MAX_STDERR", 4)
    decoded: Media[object] = read_media(tmp_path / "any.ogg", sample_rates=[16_000])
    assert decoded.errors == {"audio": "audio: firs"}


def test_time_stamps_that_tell_of_months_end_after_a_day(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LONGEST", 60.0)
    first = whole["mp4"].index(b"stts") + 16  # the duration of each picture
    path = tmp_path / "months.mp4"
    path.write_bytes(whole["mp4"][:first] + b"\x0f\xff\xff\xff" + whole["mp4"][first + 4 :])
    seconds = 0.0
    with pytest.raises(DecodeError, match="by its time stamps, it lasts more than"):
        for window in read_windows(path, each_image=lambda image: None):
            seconds = frame_onset(window.first_frame)
    assert 50 < seconds <= 60
    assert LONGEST == 24 * 3600


@pytest.mark.attack
@pytest.mark.slow
def test_prediction_names_corrupted_media(whole: dict[str, bytes], tmp_path: Path) -> None:
    model = load_model(write_model(tmp_path / "model", "spectral"), {})
    counts: Counter[str] = Counter()
    for number in range(120):
        form, mutation, content = corruption(number, whole)
        path = tmp_path / f"clip-{number}.{form}"
        path.write_bytes(content)
        what = f"corruption {number}: {mutation} of {form}"
        try:
            prediction = predict(model, path)
        except AvsedError as error:
            assert str(error).startswith(f"{path}: "), what
            assert "\n" not in str(error), what
            counts["refused"] += 1
        else:
            assert np.isfinite(prediction.frame_scores).all(), what
            assert len(prediction.frame_scores) == valid_frames(prediction.duration), what
            counts["warning" if prediction.warning else "scored"] += 1
    assert counts["refused"] > 10 and counts["warning"] > 10, counts
