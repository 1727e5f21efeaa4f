"""The page that runs a model, in a real browser, beside `avsed predict`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.errors import AvsedError
from avsed.export import page
from avsed.export.npm_package import read_runtime
from avsed.export.page import write_page
from avsed.framing import N_FRAMES, SPECTRAL_SAMPLE_RATE
from avsed.model.decisions import Decisions, write_decisions
from avsed.prediction.predict import OVERLAP, Prediction, join_windows, predict
from avsed.prediction.trained_model import load_model
from avsed.prediction.windows import WINDOW_HOP
from tests.conftest import read_audio, run_avsed
from tests.helpers.browser import CHROMIUM, Browser, started_browser, wait
from tests.helpers.exported import tones, write_trained
from tests.helpers.models import CLASSES

# Thresholds at which these students find some events.
DECISIONS = Decisions(
    median_filter_frames=5,
    tags={"Cat": 0.5, "Dog": 0.55, "Speech": 0.9},
    events={"Cat": 0.6, "Dog": 0.55, "Speech": 0.4},
)


def write_sound(path: Path, duration: float, *, sample_rate: int, n_channels: int = 1) -> Path:
    """Write tones, of different loudness in each channel."""
    sound = tones(duration, sample_rate)
    channels = [sound / (1 + channel) for channel in range(n_channels)]
    soundfile.write(path, np.stack(channels, 1), sample_rate, "FLOAT")
    return path


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_trained(tmp_path_factory.mktemp("models") / "spectral", "spectral", n_seeds=2)
    write_decisions(DECISIONS, path)
    return path


@pytest.fixture(scope="module")
def browser(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser with the page of the model."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    try:
        read_runtime()
    except AvsedError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("page") / "predict.html"
    write_page(model_dir, path)
    with started_browser(tmp_path_factory.mktemp("profile")) as started:
        started.open(path)
        wait(lambda: started.run("element('status').textContent") != "Loading the model")
        assert started.run("element('status').textContent") == "Ready"
        yield started


def detect(browser: Browser, path: Path) -> None:
    """Choose a file, and wait for what the page finds in it."""
    browser.run("shown = null")
    browser.choose_file("element('file')", path)
    wait(lambda: browser.run("shown !== null && !element('file').disabled"))


def require_scores(browser: Browser, expected: Prediction, *, tolerance: float) -> None:
    frame_scores = np.transpose(browser.run("shown.frameScores.map((scores) => [...scores])"))
    clip_scores = browser.run("[...shown.clipScores]")
    np.testing.assert_allclose(frame_scores, expected.frame_scores, rtol=0, atol=tolerance)
    np.testing.assert_allclose(clip_scores, expected.clip_scores, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("duration", [25.0, 3.3333, 10.0, 10.1, 10.2])
def test_scores_and_events_are_those_of_predict(
    duration: float, browser: Browser, model_dir: Path, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "sound.wav", duration, sample_rate=SPECTRAL_SAMPLE_RATE)
    expected = predict(load_model(model_dir), path)
    detect(browser, path)
    require_scores(browser, expected, tolerance=1e-4)
    assert browser.run("shown.duration") == pytest.approx(expected.duration, abs=1e-9)
    assert browser.run("shown.tags") == list(expected.tags) == ["Cat", "Dog"]
    found = [
        (event["onset"], event["offset"], event["label"]) for event in browser.run("shown.events")
    ]
    assert len(found) > 1
    assert found == [(event.onset, event.offset, event.label) for event in expected.events]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("sound.wav", 1e-3),
        ("sound.flac", 1e-3),
        ("sound.m4a", 1e-3),
        ("sound.mp3", 2e-3),  # browsers decode it to 16 bits
    ],
)
def test_sound_of_other_rates_and_codecs_gets_the_same_scores(
    name: str, tolerance: float, browser: Browser, model_dir: Path, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "stereo.wav", 12.0, sample_rate=44_100, n_channels=2)
    run_ffmpeg(["-i", str(path), str(tmp_path / name)])
    expected = predict(load_model(model_dir), tmp_path / name)
    detect(browser, tmp_path / name)
    require_scores(browser, expected, tolerance=tolerance)


def decode_in(browser: Browser, path: Path) -> tuple[int | None, NDArray[np.float32]]:
    """Return the sample rate that the page finds in a file, and what it decodes."""
    content = base64.b64encode(path.read_bytes()).decode()
    rate, samples = browser.run(
        f"""(async () => {{
            const bytes = Uint8Array.from(atob("{content}"), (letter) => letter.charCodeAt(0));
            const rate = findSampleRate(bytes);
            return [rate, [...await decode(new File([bytes], "sound"), model.sampleRate)]];
        }})()"""
    )
    return rate, np.array(samples, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("sample_rate", [16_000, SPECTRAL_SAMPLE_RATE, 44_100, 48_000])
def test_sound_is_resampled_as_by_ffmpeg(
    sample_rate: int, browser: Browser, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "a.wav", 1.0, sample_rate=sample_rate, n_channels=2)
    rate, samples = decode_in(browser, path)
    assert rate == sample_rate
    expected = read_audio(path, SPECTRAL_SAMPLE_RATE)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sample_rate"),
    [
        ("a.flac", 44_100),
        ("a.m4a", 22_050),
        ("a.mp3", 24_000),
        ("a.mp3", 32_000),
        ("vorbis.ogg", 44_100),
        ("opus.ogg", 48_000),
    ],
)
def test_the_sample_rate_of_a_file_is_found(
    name: str, sample_rate: int, browser: Browser, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "sound.wav", 1.0, sample_rate=sample_rate)
    codec = {"vorbis.ogg": "libvorbis", "opus.ogg": "libopus"}.get(name)
    run_ffmpeg(
        [
            *("-i", str(path), "-metadata", f"title={'long ' * 300}"),
            *(("-c:a", codec) if codec else ()),
            str(tmp_path / name),
        ]
    )
    rate, samples = decode_in(browser, tmp_path / name)
    assert rate == sample_rate
    assert len(samples) == pytest.approx(SPECTRAL_SAMPLE_RATE, abs=0.1 * SPECTRAL_SAMPLE_RATE)


@pytest.mark.slow
def test_the_page_shows_what_it_finds_and_fetches_nothing(
    browser: Browser, model_dir: Path, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / "<b>sound.wav", 12.0, sample_rate=SPECTRAL_SAMPLE_RATE)
    expected = predict(load_model(model_dir), path)
    detect(browser, path)
    assert browser.run("element('name').textContent") == "<b>sound.wav"
    assert browser.run("document.querySelectorAll('b').length") == 0
    rows = browser.run(
        "[...element('events').rows].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert rows == [[f"{e.onset:.2f}", f"{e.offset:.2f}", e.label] for e in expected.events]
    bars = browser.run("[...document.querySelectorAll('.event')].map((bar) => bar.style.left)")
    assert len(bars) == len(expected.events)
    tags = browser.run(
        "[...document.querySelectorAll('#labels .tag')].map((tag) => tag.textContent)"
    )
    assert tags == [
        f"{label} {expected.clip_scores[k]:.2f}" for k, label in enumerate(expected.tags)
    ]

    # The button of an event seeks, and the playhead goes there.
    wait(lambda: browser.run("media.readyState >= 1"))
    last = expected.events[-1].onset
    browser.run(
        "element('events').rows[element('events').rows.length - 1].cells[0].firstChild.click()"
    )
    wait(lambda: browser.run("!media.seeking && media.currentTime > 0"))
    share = browser.run("parseFloat(element('playhead').style.left)")
    assert share == pytest.approx(100 * last / 12.0, abs=0.5)

    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("element('download').click()")
    downloads = tmp_path.glob("*sound.wav.events.tsv")
    wait(lambda: any(tmp_path.glob("*.events.tsv")))
    lines = [f"{path.name}\t{e.onset:.3f}\t{e.offset:.3f}\t{e.label}\n" for e in expected.events]
    header = "filename\tonset\toffset\tevent_label\n"
    assert next(downloads).read_text() == "".join([header, *lines])

    assert {url.split(":")[0] for url in browser.requested} <= {"file", "blob", "data"}
    assert sum(url.startswith("file:") for url in browser.requested) == 1
    assert browser.complaints == []


@pytest.mark.slow
def test_a_file_can_be_dropped(browser: Browser, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "dropped.wav", 1.0, sample_rate=SPECTRAL_SAMPLE_RATE)
    content = base64.b64encode(path.read_bytes()).decode()
    browser.run(
        f"""shown = null;
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob("{content}"), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], "dropped.wav"));
        element("drop").dispatchEvent(
            new DragEvent("drop", {{ dataTransfer: transfer, bubbles: true, cancelable: true }}));
        """
    )
    wait(lambda: browser.run("shown !== null && !element('file').disabled"))
    assert browser.run("element('status').textContent") == "dropped.wav: 1.00 s"


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"no sound", b""])
def test_a_file_that_is_no_sound_is_named_and_the_next_one_is_scored(
    content: bytes, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "text.wav").write_bytes(content)
    browser.choose_file("element('file')", tmp_path / "text.wav")
    wait(lambda: "cannot decode" in browser.run("element('status').textContent"))
    assert browser.run("element('status').textContent") == (
        "text.wav: this browser cannot decode it; convert it to WAV or MP3"
    )
    assert browser.run("element('results').hidden")
    detect(browser, write_sound(tmp_path / "a.wav", 1.0, sample_rate=SPECTRAL_SAMPLE_RATE))
    assert not browser.run("element('results').hidden")


def decide_in(browser: Browser, active: str, **settings: object) -> str:
    """Decide in the page from scores of 0.9 (#) and 0.1 (.); returns the same letters."""
    scores = [0.9 if letter == "#" else 0.1 for letter in active]
    model = {"decisions": {"events": {"Dog": 0.5}, **settings}, "frameHop": 0.1}
    decided = browser.run(f"[...decide({json.dumps(scores)}, 'Dog', {json.dumps(model)})]")
    return "".join(".#"[frame] for frame in decided)


@pytest.mark.slow
@pytest.mark.parametrize("n_frames", [1, 2, 3, 7, 40, 151])
@pytest.mark.parametrize("length", [1, 3, 7, 41])
def test_the_median_filter_reflects_the_ends(n_frames: int, length: int, browser: Browser) -> None:
    active = np.random.default_rng(0).uniform(size=n_frames) > 0.4
    padded = np.pad(active, length // 2, mode="symmetric")
    expected = [np.median(padded[frame : frame + length]) > 0.5 for frame in range(n_frames)]
    letters = "".join(".#"[int(frame)] for frame in active)
    decided = decide_in(browser, letters, median_filter_frames=length)
    assert decided == "".join(".#"[int(frame)] for frame in expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("active", "settings", "expected"),
    [
        ("..##..###...#..", {"max_gap": 0.2}, "..#######...#.."),
        ("..##..###...#..", {"max_gap": 0.3}, "..###########.."),
        ("..##..###...#..", {"min_event": 0.2}, "..##..###......"),
        ("..##..###...#..", {"min_event": 0.21}, "......###......"),
        ("#.#...........#", {"max_gap": 0.1, "min_event": 0.3}, "###............"),
        ("#.#...........#", {"max_gap": {"Dog": 0.1, "Cat": 9}, "min_event": 0}, "###...........#"),
    ],
)
def test_gaps_are_filled_before_short_events_are_dropped(
    active: str, settings: dict[str, object], expected: str, browser: Browser
) -> None:
    assert decide_in(browser, active, median_filter_frames=1, **settings) == expected
    by_class = {"median_filter_frames": {"Cat": 7, "Dog": 1}}
    assert decide_in(browser, active, **by_class, **settings) == expected


@pytest.mark.slow
@pytest.mark.parametrize("n_last", [1, 101])
def test_windows_are_joined_as_by_predict(n_last: int, browser: Browser) -> None:
    random = np.random.default_rng(0)
    windows = [
        (number * WINDOW_HOP, random.uniform(size=(n, len(CLASSES))).astype(np.float32))
        for number, n in enumerate((N_FRAMES, N_FRAMES, OVERLAP + n_last))
    ]
    scored = [{"first": first, "frameScores": scores.T.tolist()} for first, scores in windows]
    joined = browser.run(f"joinWindows({json.dumps(scored)}, model).map((row) => [...row])")
    np.testing.assert_array_equal(np.transpose(joined).astype(np.float32), join_windows(windows))


def fake_runtime() -> dict[str, bytes]:
    return {"interface": b"1", "loader": b"2", "wasm": b"3"}


@pytest.mark.slow
def test_the_same_model_gives_the_same_page(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "read_runtime", fake_runtime)
    for name in ("first.html", "second.html"):
        assert run_avsed(monkeypatch, "export", model_dir, "--html", tmp_path / name) == 0
    written = (tmp_path / "first.html").read_bytes()
    assert written == (tmp_path / "second.html").read_bytes()
    assert not any(word in written for word in (b'src="', b"http-equiv=refresh", b"https://"))


@pytest.mark.slow
def test_hostile_labels_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_dir = write_trained(tmp_path / "model", "spectral")
    label = "</script><script>alert(1)</script>"
    card = model_dir / "model.json"
    card.write_text(card.read_text().replace('"Dog"', json.dumps(label)))
    monkeypatch.setattr(page, "read_runtime", fake_runtime)
    write_page(model_dir, tmp_path / "page.html")
    assert "alert(1)</script>" not in (tmp_path / "page.html").read_text()


def test_a_model_that_needs_pretrained_networks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model_dir = write_trained(tmp_path / "both", "spectral", "auditory")
    assert run_avsed(monkeypatch, "export", model_dir, "--html", tmp_path / "page.html") == 2
    assert capsys.readouterr().err == (
        f"error: {model_dir}: uses auditory features, and a page has no pretrained networks to "
        "compute them; export a model of spectral features only, or write an --onnx file\n"
    )
    assert not (tmp_path / "page.html").exists()


def test_a_model_whose_events_are_bounding_boxes_is_refused(tmp_path: Path) -> None:
    model_dir = write_trained(tmp_path / "model", "spectral")
    write_decisions(DECISIONS.model_copy(update={"method": "boxes"}), model_dir)
    with pytest.raises(AvsedError, match="its events are bounding boxes, which a page does not"):
        write_page(model_dir, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
