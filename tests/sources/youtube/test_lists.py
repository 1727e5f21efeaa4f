"""The published lists: download, and names that may become part of a URL."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from avsed.errors import AvsedError
from avsed.params import Local, YoutubeDataset
from avsed.runtime.store import store_dir
from avsed.sources.prepare import prepare_lists
from avsed.sources.youtube import lists
from avsed.sources.youtube.lists import FILES, find_lists, read_published, segment_of

# requests leaves the connection of a refusal to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CONTENT = {
    "weak": "filename\tevent_labels\nYabcdefghijk_30.000_40.000.wav\tCat,Dog\n",
    "unlabeled": "filename\nY-bcdefghijk_0.000_10.000.wav\n",
    "validation": "filename\tonset\toffset\tevent_label\n"
    "Y_bcdefghijk_0.000_9.000.wav\t0\t9.1\tFrying\n",
    "test": "filename\tonset\toffset\tevent_label\nYtbcdefghijk_2.500_12.500.wav\t0\t1\tDog\n",
}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write small lists under the published names, and pin their hashes."""
    folder = tmp_path / "published"
    for split, text in CONTENT.items():
        path = folder / FILES[split]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    hashes = {split: hashlib.sha256(text.encode()).hexdigest() for split, text in CONTENT.items()}
    monkeypatch.setattr(lists, "SHA256", hashes)
    return folder


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("clip_id", "video_id", "start", "duration"),
    [
        ("Yabcdefghijk_30.000_40.000", "abcdefghijk", 30.0, 10.0),
        ("Y-_cdefghij__0.000_7.000", "-_cdefghij_", 0.0, 7.0),
        ("Y_2345_78_0._1.100_11.100", None, 0.0, 0.0),
        ("Yabcdefghijk_1.100_11.100", "abcdefghijk", 1.1, 10.0),
        ("Yabcdefghijk_0.000_30.000", "abcdefghijk", 0.0, 10.0),
        ("Yabcdefghijk_10.000_10.000", None, 0.0, 0.0),
        ("Yabcdefghij/_0.000_10.000", None, 0.0, 0.0),
        ("Yabcdefghijk_0.000_10.000\n", None, 0.0, 0.0),
        ("Y\u0661bcdefghijk_0.000_10.000", None, 0.0, 0.0),
        ("abcdefghijk", None, 0.0, 0.0),
    ],
)
def test_a_clips_name_says_its_video_and_its_place(
    clip_id: str, video_id: str | None, start: float, duration: float
) -> None:
    if video_id is None:
        with pytest.raises(AvsedError, match="is not a clip from YouTube"):
            segment_of(clip_id)
    else:
        segment = segment_of(clip_id)
        assert (segment.video_id, segment.start, segment.duration) == (video_id, start, duration)


def test_lists_are_taken_from_a_folder(tmp_path: Path, published: Path) -> None:
    dataset = YoutubeDataset(source="youtube", lists=str(published))
    prepare_lists(dataset, Local(media_dir=tmp_path, metadata_dir=tmp_path), tmp_path / "out")
    written = (tmp_path / "out" / "validation.tsv").read_text().splitlines()
    assert written[1] == "Y_bcdefghijk_0.000_9.000.wav\t0.000\t9.100\tFrying"
    assert (tmp_path / "out" / "test.tsv").read_text().splitlines()[1].startswith("Ytbcdefghijk_2")


def test_a_changed_list_is_refused(published: Path) -> None:
    path = published / FILES["test"]
    path.write_text(path.read_text().replace("\n", "\r\n"))
    with pytest.raises(AvsedError, match=r"eval.csv: is not the published list .*line ends"):
        find_lists(str(published))


def test_a_missing_list_says_where_to_fetch_it(published: Path) -> None:
    (published / FILES["weak"]).unlink()
    with pytest.raises(
        AvsedError, match=r"weak.csv: no such list; download it from https://.*weak"
    ):
        find_lists(str(published))


def test_a_list_that_names_no_clip_of_youtube_is_refused(published: Path) -> None:
    path = published / FILES["unlabeled"]
    path.write_text("filename\ndog.wav\n")
    with pytest.raises(AvsedError, match="dog: is not a clip from YouTube"):
        read_published({split: published / name for split, name in FILES.items()})


def test_lists_are_fetched_once(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(published) as address:
        monkeypatch.setattr(lists, "PUBLISHED_AT", (f"{address}nowhere/", address))
        fetched = find_lists("published")
    # The site is closed now.
    assert find_lists("published") == fetched
    assert [clip.clip_id for clip in read_published(fetched)["weak"]] == [
        "Yabcdefghijk_30.000_40.000"
    ]


def test_another_list_at_the_published_address_is_refused(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (published / FILES["weak"]).write_text("filename\tevent_labels\n")
    with served(published) as address:
        monkeypatch.setattr(lists, "PUBLISHED_AT", (address,))
        with pytest.raises(AvsedError, match=r"weak.csv: cannot be downloaded .*hash"):
            find_lists("published")
    assert not (store_dir() / "dcase2018" / FILES["weak"]).exists()


def test_without_a_network_it_says_which_file_to_put_where(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(published) as address:
        monkeypatch.setattr(lists, "PUBLISHED_AT", (address,))
    place = store_dir() / "dcase2018"
    for split, name in FILES.items():
        with pytest.raises(AvsedError) as caught:
            find_lists("published")
        message = str(caught.value)
        assert f"{address}{FILES[split]}: cannot be downloaded" in message
        assert f"put it at {place / name}" in message
        assert "\n" not in message
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(published / name, place / name)
    assert find_lists("published") == {split: place / name for split, name in FILES.items()}
