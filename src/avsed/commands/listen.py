"""Apply a trained model, or YAMNet, to live sound."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from avsed.commands.detector import detector_options

if TYPE_CHECKING:
    from avsed.evaluation.postprocess import DetectedEvent
    from avsed.prediction.predict import Detector


@click.command("listen")
@click.argument(
    "source",
    default="default",
    metavar="[SOURCE]",
    help="- for standard input, a URL that ffmpeg reads, or with --device the name of a device; "
    "default: the microphone.",
)
@click.option(
    "--device",
    metavar="KIND",
    help="ffmpeg's kind of device: pulse, alsa, openal or oss on Linux, avfoundation on macOS; "
    "default: pulse or avfoundation for the microphone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@detector_options
def run_listen(
    source: str,
    device: str | None,
    as_json: bool,
    open_detector: "Callable[[], Detector]",
) -> None:
    """Print the events of live sound as they end, until it ends or Ctrl-C.

    Times are seconds from the start. Sound is scored in windows of 10 s, one every 6.7 s, so an
    event is printed 3.3 to 10.1 s after its end, and the time for computing later.
    """
    from avsed.prediction.live import LONGEST_DELAY, SHORTEST_DELAY, listen
    from avsed.prediction.live_audio import choose_source

    live_source = choose_source(source, device)
    detector = open_detector()
    for warning in detector.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(
        f"listening; an event is printed {SHORTEST_DELAY:.1f} to {LONGEST_DELAY:.1f} s after its "
        "end, and the time for computing later",
        file=sys.stderr,
    )
    for events in listen(detector, live_source):
        for event in events:
            print(_as_json(event) if as_json else _as_text(event), flush=True)


def _as_text(event: "DetectedEvent") -> str:
    return f"{event.onset:9.2f} {event.offset:9.2f}  {event.label} {event.score:.2f}"


def _as_json(event: "DetectedEvent") -> str:
    content = {
        "onset": round(event.onset, 3),
        "offset": round(event.offset, 3),
        "event_label": event.label,
        "score": round(event.score, 4),
    }
    return json.dumps(content, ensure_ascii=False)
