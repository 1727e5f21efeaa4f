"""Downloads with the real yt-dlp from a local site that fails in every way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from yt_dlp.extractor.youtube import YoutubeIE
from yt_dlp.utils import ExtractorError

from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.dataset.inspection import probe
from avsed.errors import AvsedError
from avsed.params import Download
from avsed.runtime.store import store_dir
from avsed.sources.youtube import fetching, scheduling
from avsed.sources.youtube.download import download_clips
from avsed.sources.youtube.fetching import YOUTUBE, Site
from avsed.sources.youtube.ledger import media_path, retry_gone
from avsed.sources.youtube.scheduling import RetryPolicy
from tests.conftest import ROOT, read_images
from tests.helpers.video_site import VideoSite, at_first, drip, hang, open_site, refuse, serve

DOWNLOAD = Download(cookies=None, proxy=None, sleep=0, jobs=2, min_fraction=0)
IMPATIENT = RetryPolicy(attempts=2, backoff=0.05, socket_timeout=1.0)
DOMAINS = ("youtube.com", "elsewhere.com")  # the first lacks its dot
ROBOT_CHECK = "Sign in to confirm you\u2019re not a bot"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Create a video of 30 s whose brightness is its second."""
    path = tmp_path_factory.mktemp("site") / "video.mp4"
    image = "nullsrc=size=64x48:rate=10:duration=30,geq=lum='40+6*floor(T)':cb=128:cr=128"
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=30")
    command = [ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", image, *sound, str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


def ids(*names: str) -> list[str]:
    """Return names of 11 characters, like YouTube's."""
    return [name.ljust(11, "_") for name in names]


def clips(*names: str) -> list[str]:
    return [f"Y{video_id}_5.000_15.000" for video_id in ids(*names)]


def fetch(
    clip_ids: Sequence[str],
    tmp_path: Path,
    site: Site,
    download: Download = DOWNLOAD,
    retry_policy: RetryPolicy = IMPATIENT,
) -> dict[str, ClipRecord]:
    records = download_clips(
        clip_ids,
        download,
        clips_dir=tmp_path / "clips",
        table_path=tmp_path / "clips.csv",
        site=site,
        retry_policy=retry_policy,
    )
    assert [record.clip_id for record in records] == list(clip_ids)
    return {record.clip_id: record for record in records}


def ledger_lines() -> list[dict[str, Any]]:
    path = store_dir() / "youtube" / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_each_clip_ends_as_its_video_deserves(tmp_path: Path, video: bytes) -> None:
    good, half = serve(video), serve(video, cut_at=len(video) // 2)
    answers = {
        "good": good,
        "-dash": good,
        "_under": good,
        "half": at_first(2, half, good),
        "throttled": at_first(1, refuse(429, Retry_After="1"), good),
        "busy": at_first(1, refuse(503), good),
        "alwaysbusy": refuse(503),
        "notfound": refuse(404),
        "gone": refuse(410),
        # The page is there, its media are not.
        "expired": lambda handler, number: (good if number % 2 else refuse(404))(handler, number),
        "hanging": hang,
        "page": serve(b"<html>no video</html>", "text/html"),
        "junk": serve(b"junk" * 5000),
    }
    names = tuple(answers)
    with open_site(dict(zip(ids(*names), answers.values(), strict=True))) as site:
        records = fetch(clips(*names), tmp_path, site.site)
    outcome = {name: records[clips(name)[0]] for name in names}

    had = ("good", "-dash", "_under", "half", "throttled", "busy")
    for name in had:
        path = tmp_path / "clips" / f"{clips(name)[0]}.mp4"
        assert outcome[name].status == "ok"
        streams = probe(path)
        assert streams.has_audio and streams.has_video
        assert streams.duration == pytest.approx(10.0, abs=0.05)
    assert len(list((tmp_path / "clips").iterdir())) == len(had)
    reasons = {name: (outcome[name].status, outcome[name].reason) for name in names}
    assert reasons["notfound"] == (
        "unavailable",
        "not found: Unable to download webpage: HTTP Error 404: Not Found",
    )
    assert reasons["gone"][0] == "unavailable"
    assert reasons["expired"] == (
        "failed",
        "network: unable to download video data: HTTP Error 404: Not Found",
    )
    assert reasons["alwaysbusy"] == (
        "failed",
        "network: Unable to download webpage: HTTP Error 503: Service Unavailable",
    )
    assert reasons["hanging"][0] == "failed" and "timed out" in reasons["hanging"][1]
    assert reasons["page"][0] == "failed" and reasons["page"][1].startswith("not delivered")
    assert reasons["junk"] == ("failed", "damaged: moov atom not found")
    assert not list((store_dir() / "youtube" / "work").iterdir())


def test_another_run_asks_for_what_failed_only(tmp_path: Path, video: bytes) -> None:
    names = ("good", "gone", "busy")
    answers = dict(zip(ids(*names), (serve(video), refuse(404), refuse(503)), strict=True))
    with open_site(answers) as site:
        fetch(clips(*names), tmp_path, site.site)
        before = site.n_requests.copy()
        site.answers[ids("busy")[0]] = serve(video)
        records = fetch(clips(*names), tmp_path, site.site)
        assert site.n_requests - before == {ids("busy")[0]: 2}
        before = site.n_requests.copy()
        fetch(clips(*names), tmp_path, site.site)
        assert site.n_requests == before
    assert [record.status for record in records.values()] == ["ok", "unavailable", "ok"]


@pytest.mark.slow
def test_a_server_is_not_asked_again_before_it_says(tmp_path: Path, video: bytes) -> None:
    times: list[float] = []

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        times.append(time.monotonic())
        first = refuse(429, Retry_After="1") if number == 1 else serve(video)
        first(handler, number)  # type: ignore[arg-type]

    names = clips("throttled", "other")
    with open_site(dict.fromkeys(ids("throttled", "other"), answer)) as site:
        download = DOWNLOAD.model_copy(update={"jobs": 1})
        records = fetch(names, tmp_path, site.site, download)
    assert {record.status for record in records.values()} == {"ok"}
    # The other clip waits too: it is the address that is throttled.
    assert times[1] - times[0] >= 1.0


@pytest.mark.slow
def test_videos_are_started_no_faster_than_the_pace(tmp_path: Path, video: bytes) -> None:
    times: list[float] = []

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            times.append(time.monotonic())
        serve(video)(handler, number)  # type: ignore[arg-type]

    names = tuple(f"v{number}" for number in range(5))
    with open_site(dict.fromkeys(ids(*names), answer)) as site:
        download = DOWNLOAD.model_copy(update={"sleep": 0.4, "jobs": 4})
        fetch(clips(*names), tmp_path, site.site, download)
    # Four pauses of three quarters of the pace at least, less what threads differ by.
    assert max(times) - min(times) >= 1.0


def test_throttling_without_end_stops_the_run(tmp_path: Path) -> None:
    names = tuple(f"v{number}" for number in range(9))
    said = r"6 videos in a row: rate limit.*download.sleep"
    answers = dict.fromkeys(ids(*names), refuse(429))
    with open_site(answers) as site, pytest.raises(AvsedError, match=said):
        fetch(clips(*names), tmp_path, site.site)
    assert ledger_lines() == []


def test_a_demand_to_wait_for_hours_stops_the_run(tmp_path: Path) -> None:
    answers = {ids("v")[0]: refuse(429, Retry_After="7200")}
    with open_site(answers) as site, pytest.raises(AvsedError, match="wait 120 minutes"):
        fetch(clips("v"), tmp_path, site.site)


def test_a_network_that_is_down_stops_the_run(tmp_path: Path) -> None:
    with open_site({}) as site:
        closed = site.site
    names = tuple(f"v{number}" for number in range(30))
    with pytest.raises(AvsedError, match=r"10 videos in a row: network.*Check the network"):
        fetch(clips(*names), tmp_path, closed)
    assert ledger_lines() == []


def test_what_nobody_finds_is_not_believed_to_be_gone(tmp_path: Path) -> None:
    names = tuple(f"v{number}" for number in range(30))
    said = r"10 videos in a row: not found.*none was recorded"
    with open_site({}) as site, pytest.raises(AvsedError, match=said):
        fetch(clips(*names), tmp_path, site.site)
    assert ledger_lines() == []


def test_what_is_not_found_is_believed_once_another_is_still_had(
    tmp_path: Path, video: bytes
) -> None:
    names = tuple(f"v{number}" for number in range(30))
    with open_site({ids("good")[0]: serve(video)}) as site:
        fetch(clips("good"), tmp_path, site.site)
        records = fetch(clips("good", *names), tmp_path, site.site)
    assert [record.status for record in records.values()] == ["ok"] + ["unavailable"] * 30


def test_a_video_that_was_asked_for_before_a_block_does_not_vouch_for_those_after(
    tmp_path: Path, video: bytes
) -> None:
    def slowly(handler: BaseHTTPRequestHandler, number: int) -> None:
        time.sleep(0.5)
        serve(video)(handler, number)  # type: ignore[arg-type]

    names = tuple(f"v{number}" for number in range(8))
    # The slow one is had, and by then the address is refused: nothing is found any more.
    with open_site({ids("slow")[0]: at_first(2, slowly, refuse(404))}) as site:
        download = DOWNLOAD.model_copy(update={"jobs": 9})
        records = fetch(clips("slow", *names), tmp_path, site.site, download)
    assert [record.status for record in records.values()] == ["ok"] + ["failed"] * 8
    assert [line["status"] for line in ledger_lines()] == ["ok"]


def test_many_damaged_videos_do_not_stop_a_run_that_others_pass(
    tmp_path: Path, video: bytes
) -> None:
    names = tuple(f"v{number}" for number in range(12))
    answers = {video_id: serve(b"junk" * 999) for video_id in ids(*names)}
    with open_site(answers | {ids("good")[0]: serve(video)}) as site:
        fetch(clips("good"), tmp_path, site.site)
        records = fetch(clips("good", *names), tmp_path, site.site)
    assert [record.status for record in records.values()] == ["ok"] + ["failed"] * 12


class FakeYoutube:
    """Makes yt-dlp's extractor of YouTube find videos on the local site.

    Attributes:
        errors: video id to YouTube's reason why not.
        formats: video id to what is offered; a single file of both streams where not said.
        duration: seconds that each video is said to have.
    """

    def __init__(self, site: VideoSite, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.errors: dict[str, str] = {}
        self.formats: dict[str, list[dict[str, Any]]] = {}
        self.duration = 30
        monkeypatch.setattr(YoutubeIE, "_real_extract", lambda _, url: self.extract(url))

    def extract(self, url: str) -> dict[str, Any]:
        video_id = url.rsplit("=", 1)[1]
        if video_id in self.errors:
            raise ExtractorError(self.errors[video_id], expected=True, video_id=video_id)
        formats = self.formats.get(video_id) or [self.format("18", video_id, "avc1", "mp4a", 360)]
        return {
            "id": video_id,
            "title": "../../a title; rm -rf *",
            "duration": self.duration,
            "formats": formats,
        }

    def format(
        self, format_id: str, path: str, vcodec: str, acodec: str, height: int | None = None
    ) -> dict[str, Any]:
        return {
            "format_id": format_id,
            "url": self.site.site.address.format(video_id=path),
            "ext": "mp4",
            "vcodec": vcodec,
            "acodec": acodec,
            "height": height,
        }


@pytest.mark.slow
def test_a_robot_check_stops_the_run_and_marks_nothing(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("first", "second", *(f"v{number}" for number in range(9)))
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        fetch(clips("first", "second"), tmp_path, YOUTUBE)
        youtube.errors = dict.fromkeys(ids(*names)[2:], ROBOT_CHECK)
        with pytest.raises(AvsedError) as caught:
            fetch(clips(*names), tmp_path, YOUTUBE)
        message = str(caught.value)
        assert message.startswith("3 videos in a row: robot check: Sign in to confirm you're not")
        for remedy in ("download.cookies", "download.sleep", "download.proxy"):
            assert remedy in message
        assert "2 clips are kept" in message
        assert [line["status"] for line in ledger_lines()] == ["ok", "ok"]

        # The address is let in again, and the same command goes on.
        youtube.errors = {}
        before = site.n_served.copy()
        records = fetch(clips(*names), tmp_path, YOUTUBE)
    assert {record.status for record in records.values()} == {"ok"}
    assert set(site.n_served - before) == set(ids(*names)[2:])


def test_a_single_robot_check_is_passed_over(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("first", "second", "third")
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.errors = {ids("first")[0]: ROBOT_CHECK}
        records = fetch(clips(*names), tmp_path, YOUTUBE)
    assert [record.status for record in records.values()] == ["failed", "ok", "ok"]


def test_a_robot_check_of_the_last_videos_is_not_taken_for_theirs(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("first", "last")
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        fetch(clips("first"), tmp_path, YOUTUBE)
        youtube.errors = dict.fromkeys(ids(*names), ROBOT_CHECK)
        with pytest.raises(AvsedError, match=r"^1 videos in a row: robot check"):
            fetch(clips(*names), tmp_path, YOUTUBE)


def test_a_video_that_is_private_after_a_robot_check_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = iter([ROBOT_CHECK, "Private video"])

    def answer(url: str) -> dict[str, Any]:
        raise ExtractorError(next(reasons), expected=True)

    with open_site({}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        monkeypatch.setattr(youtube, "extract", answer)
        (record,) = fetch(clips("v"), tmp_path, YOUTUBE).values()
    assert (record.status, record.reason) == ("unavailable", "private: Private video")


def test_a_private_video_does_not_vouch_for_unavailable_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"v{number}" for number in range(30)]
    with open_site({}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.errors = dict.fromkeys(ids(*names), "Video unavailable")
        youtube.errors |= dict.fromkeys(ids(*names)[::5], "Private video")
        with pytest.raises(AvsedError, match="10 videos in a row: unavailable"):
            fetch(clips(*names), tmp_path, YOUTUBE)
    assert {line["reason"] for line in ledger_lines()} <= {"private: Private video"}


def test_another_video_than_was_asked_for_is_refused(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site({video_id: serve(video) for video_id in ids("asked", "other")}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        answer = youtube.extract
        monkeypatch.setattr(youtube, "extract", lambda url: answer(url) | {"id": ids("other")[0]})
        (record,) = fetch(clips("asked"), tmp_path, YOUTUBE).values()
    assert record.reason == "not delivered: the site delivered no file of this video"


@pytest.mark.parametrize(
    "value", ["\u00b2", "Fri, 31 Dec 9999 23:59:59 -1400", "Mon, 01 Jan 99999999999 00:00:00", "-1"]
)
def test_an_odd_demand_to_wait_is_passed_over(value: str, tmp_path: Path) -> None:
    with open_site({ids("v")[0]: refuse(503, Retry_After=value)}) as site:
        (record,) = fetch(clips("v"), tmp_path, site.site).values()
    assert (
        record.reason == "network: Unable to download webpage: HTTP Error 503: Service Unavailable"
    )


@pytest.mark.slow
def test_a_download_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TIME_LIMIT", 1)
    with open_site({ids("v")[0]: drip}) as site:
        (record,) = fetch(clips("v"), tmp_path, site.site).values()
    assert record.reason == "network: took more than 1 s"


def test_a_fetch_that_hangs_where_no_limit_holds_is_given_up(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "OVERDUE", 4)  # more than a video takes on a busy machine
    monkeypatch.setattr(scheduling, "LOOK_AGAIN", 0.1)
    with open_site({ids("hangs")[0]: hang, ids("good")[0]: serve(video)}) as site:
        retry_policy = RetryPolicy(attempts=1, socket_timeout=60)
        records = fetch(clips("hangs", "good"), tmp_path, site.site, retry_policy=retry_policy)
    assert [record.reason for record in records.values()] == ["network: took more than 4 s", ""]


def test_videos_are_asked_for_through_the_proxy(tmp_path: Path, video: bytes) -> None:
    with open_site({ids("good")[0]: serve(video)}) as proxy:
        download = DOWNLOAD.model_copy(update={"proxy": f"http://127.0.0.1:{proxy.server_port}"})
        elsewhere = Site(address="http://videos.invalid/{video_id}", extractor="generic")
        (record,) = fetch(clips("good"), tmp_path, elsewhere, download).values()
    assert record.status == "ok"


def test_a_fault_of_yt_dlp_with_one_video_does_not_end_the_run(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site({video_id: serve(video) for video_id in ids("odd", "good")}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.formats[ids("odd")[0]] = [{"format_id": 1, "url": 7}]
        records = fetch(clips("odd", "good"), tmp_path, YOUTUBE)
    assert [record.status for record in records.values()] == ["failed", "ok"]
    assert records[clips("odd")[0]].reason.startswith("not delivered: yt-dlp fails with ")


def test_gone_videos_are_recorded_with_youtubes_reason_and_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site({}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.errors = {
            ids("private")[0]: "Private video. Sign in if you've been granted access",
            ids("removed")[0]: "Video unavailable. This video has been removed by the uploader",
        }
        records = fetch(clips("private", "removed"), tmp_path, YOUTUBE)
        youtube.errors = {}  # they would be had now
        assert fetch(clips("private", "removed"), tmp_path, YOUTUBE) == records
    assert [(record.status, record.reason) for record in records.values()] == [
        ("unavailable", "private: Private video. Sign in if you've been granted access"),
        (
            "unavailable",
            "removed: Video unavailable. This video has been removed by the uploader",
        ),
    ]


def test_gone_videos_are_asked_for_again_when_the_user_says_so(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("private", "removed")
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.errors = dict(
            zip(ids(*names), ("Private video", "removed by the uploader"), strict=True)
        )
        fetch(clips(*names), tmp_path, YOUTUBE)
        youtube.errors = {}
        assert retry_gone("private", []) == 1
        records = fetch(clips(*names), tmp_path, YOUTUBE)
        assert [record.status for record in records.values()] == ["ok", "unavailable"]
        assert retry_gone(None, []) == 1
        records = fetch(clips(*names), tmp_path, YOUTUBE)
        assert [record.status for record in records.values()] == ["ok", "ok"]


def test_age_restricted_videos_are_asked_for_again_with_cookies(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t0\tname\tvalue\n"
    cookies.write_text(text)
    signed_in = DOWNLOAD.model_copy(update={"cookies": cookies})
    names = ("first", "second")
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        youtube.errors = dict.fromkeys(ids(*names), "Sign in to confirm your age")
        records = fetch(clips(*names), tmp_path, YOUTUBE)
        assert {record.reason.split(":")[0] for record in records.values()} == {"age-restricted"}
        del youtube.errors[ids("first")[0]]
        records = fetch(clips(*names), tmp_path, YOUTUBE, signed_in)
        youtube.errors = {}
        assert fetch(clips(*names), tmp_path, YOUTUBE, signed_in) == records
    assert [record.status for record in records.values()] == ["ok", "unavailable"]
    assert records[clips("second")[0]].reason.startswith("age-restricted for this account too: ")
    assert cookies.read_text() == text


def test_cookies_are_sent(tmp_path: Path, video: bytes) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(
        "\ufeff# Netscape HTTP Cookie File\n"
        ".youtube.com\tTRUE\t/\tFALSE\t0\tname\tvalue\n"
        "127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n",
        "utf-8",
    )
    signed_in = DOWNLOAD.model_copy(update={"cookies": cookies})
    with open_site({ids("good")[0]: serve(video)}) as site:
        fetch(clips("good"), tmp_path, site.site, signed_in)
    assert site.headers["Cookie"] == "name=value"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "no cookies",
        "# Netscape HTTP Cookie File\nyoutube.com\tTRUE\t/\tTRUE\tx\tname\tsecret\n",
    ],
)
def test_cookies_that_cannot_be_read_are_refused(
    content: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cookies = tmp_path / "cookies.txt"
    if content:
        cookies.write_text(content)
    download = DOWNLOAD.model_copy(update={"cookies": cookies})
    with pytest.raises(AvsedError, match=r"^download.cookies: (?!.*secret)"):
        fetch(clips("v"), tmp_path, YOUTUBE, download)
    assert "secret" not in "".join(capfd.readouterr())


def test_the_smallest_sufficient_formats_are_taken(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "video.mp4").write_bytes(video)
    streams = {}
    for kind, options in (("v", ["-an", "-c", "copy"]), ("a", ["-vn", "-c", "copy"])):
        path = tmp_path / f"{kind}.mp4"
        command = [ffmpeg_path(), "-v", "error", "-i", str(tmp_path / "video.mp4"), *options]
        subprocess.run([*command, str(path)], check=True)
        streams[kind] = path.read_bytes()
    names = ("all", "large", "muted", "sound")
    with open_site({}) as site:
        youtube = FakeYoutube(site, monkeypatch)
        single = youtube.format("18", "single", "avc1", "mp4a", 360)
        images = youtube.format("134", "images", "avc1", "none", 360)
        large = youtube.format("137", "large", "avc1", "none", 1080)
        sound = youtube.format("140", "sound", "none", "mp4a")
        offered = ([single, images, large, sound], [large, sound], [images], [sound])
        youtube.formats = dict(zip(ids(*names), offered, strict=True))
        site.answers = {
            "single": serve(video),
            "images": serve(streams["v"]),
            "large": serve(streams["v"]),
            "sound": serve(streams["a"]),
        }
        records = fetch(clips(*names), tmp_path, YOUTUBE)
    assert [record.status for record in records.values()] == ["ok", "ok", "ok", "failed"]
    assert [record.has_audio for record in records.values()] == [True, True, False, False]
    assert site.n_served["single"] == 0
    assert records[clips("sound")[0]].reason == "no video: only audio was delivered"


def test_only_the_clips_part_of_a_very_long_video_is_fetched(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site({video_id: serve(video) for video_id in ids("long")}) as site:
        FakeYoutube(site, monkeypatch)
        retry_policy = RetryPolicy(attempts=1, long_video=29.0)
        records = fetch(clips("long"), tmp_path, YOUTUBE, retry_policy=retry_policy)
    (record,) = records.values()
    assert (record.status, record.reason) == ("ok", "")
    assert record.duration == pytest.approx(10.0, abs=0.05)
    first = read_images(tmp_path / "clips" / record.file)[0].mean() * 219 / 255 + 16
    assert first == pytest.approx(40 + 6 * 5, abs=2)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_fetches_nothing_twice(tmp_path: Path, video: bytes) -> None:
    names = tuple(f"v{number}" for number in range(8))

    def slowly(handler: BaseHTTPRequestHandler, number: int) -> None:
        time.sleep(0.15)
        serve(video)(handler, number)  # type: ignore[arg-type]

    with open_site(dict.fromkeys(ids(*names), slowly)) as site:
        script = (
            "import sys; from pathlib import Path; from avsed.params import Download\n"
            "from avsed.sources.youtube.download import download_clips\n"
            "from avsed.sources.youtube.fetching import Site\n"
            "download_clips(sys.argv[3:], Download(cookies=None, proxy=None, sleep=0, jobs=2,"
            " min_fraction=0), clips_dir=Path(sys.argv[1]), table_path=Path('none'),"
            " site=Site(address=sys.argv[2], extractor='generic'))"
        )
        arguments = [str(tmp_path / "clips"), site.site.address, *clips(*names)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while sum(site.n_served.values()) < 8:  # each video is asked for twice
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished = {path.stem for path in (store_dir() / "youtube" / "clips").iterdir()}
        assert 0 < len(finished) < len(names)
        before = site.n_requests.copy()
        records = fetch(clips(*names), tmp_path, site.site)
        asked = {f"Y{video_id}_5.000_15.000" for video_id in site.n_requests - before}
    assert {record.status for record in records.values()} == {"ok"}
    assert asked == set(clips(*names)) - finished
    assert not list((store_dir() / "youtube" / "work").iterdir())


@pytest.mark.slow
def test_media_and_records_that_a_kill_parted_are_brought_together(
    tmp_path: Path, video: bytes
) -> None:
    names = ("whole", "unrecorded", "damaged", "lost", "torn")
    with open_site({video_id: serve(video) for video_id in ids(*names)}) as site:
        expected = fetch(clips(*names), tmp_path, site.site)
        path = store_dir() / "youtube" / "ledger.jsonl"
        lines = {json.loads(line)["clip_id"]: line for line in path.read_text().splitlines()}
        del lines[clips("unrecorded")[0]]
        torn = lines.pop(clips("torn")[0])[:40]
        path.write_text("".join(f"{line}\n" for line in lines.values()) + torn)
        damaged = media_path(clips("damaged")[0])
        damaged.unlink()  # it is linked to the clip handed out
        damaged.write_bytes(b"junk")
        media_path(clips("lost")[0]).unlink()
        before = site.n_requests.copy()
        records = fetch(clips(*names), tmp_path, site.site)
        asked = set(site.n_requests - before)
    assert {name: record.status for name, record in records.items()} == dict.fromkeys(
        expected, "ok"
    )
    assert asked == set(ids("damaged", "lost"))
    assert {line["clip_id"] for line in ledger_lines()} == set(clips(*names))


def test_thousands_of_finished_clips_are_settled_without_asking_or_decoding(
    tmp_path: Path, video: bytes
) -> None:
    with open_site({ids("one")[0]: serve(video)}) as site:
        (record,) = fetch(clips("one"), tmp_path, site.site).values()
    clip_ids = [f"Y{number:011d}_0.000_10.000" for number in range(2_000)]
    content = media_path(record.clip_id).read_bytes()
    with (store_dir() / "youtube" / "ledger.jsonl").open("a") as ledger:
        for clip_id in clip_ids:
            media_path(clip_id).write_bytes(content)
            named = asdict(record) | {"clip_id": clip_id, "file": f"{clip_id}.mp4"}
            ledger.write(json.dumps(named) + "\n")
    # The site is closed, and nothing is asked of it.
    records = fetch(clip_ids, tmp_path, site.site)
    assert {record.status for record in records.values()} == {"ok"}
    assert len(list((tmp_path / "clips").iterdir())) == 2_001
    assert (tmp_path / "clips" / f"{clip_ids[7]}.mp4").read_bytes() == content


def test_one_run_at_a_time_has_the_store(
    tmp_path: Path, video: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store_dir() / "youtube"
    folder.mkdir(parents=True)
    # Another process, as its lock is seen from here.
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from filelock import FileLock\n"
            "with FileLock(sys.argv[1]): print('locked', flush=True); time.sleep(1)",
            str(folder / "lock"),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout and holder.stdout.readline() == b"locked\n"
    with pytest.raises(AvsedError, match="another run is downloading; wait for it"):
        retry_gone(None, [])
    with open_site({ids("good")[0]: serve(video)}) as site:
        records = fetch(clips("good"), tmp_path, site.site)
    holder.communicate()
    assert records[clips("good")[0]].status == "ok"
    assert "another run is downloading into" in capsys.readouterr().out
    with FileLock(folder / "lock", timeout=0):
        pass  # it was given back


def test_it_is_said_beforehand_how_long_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"v{number}" for number in range(20))
    with open_site({}) as site, pytest.raises(AvsedError):
        download = DOWNLOAD.model_copy(update={"sleep": 0.09})
        fetch(clips(*names), tmp_path, site.site, download)
    assert "20 of 20 clips to download from YouTube, one every 0.09 s" in capsys.readouterr().out
