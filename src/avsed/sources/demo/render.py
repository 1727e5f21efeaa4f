"""Demo clips as media: a scene's sound, and an mp4 file of sound and pictures."""

import io
import subprocess
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import ffmpeg_path, run_ffmpeg
from avsed.errors import AvsedError
from avsed.framing import n_samples
from avsed.runtime.files import name_disk_errors, work_folder
from avsed.sources.demo.pictures import HEIGHT, PICTURE_RATE, WIDTH, draw_pictures
from avsed.sources.demo.scenes import Scene
from avsed.sources.demo.sounds import SAMPLE_RATE, background, synthesize

VIDEO_RATE = 12  # video frames per second: each picture is held for six

_SOUND_STREAM = 1  # of the scene's seed, apart from the pictures'
_EVENT_LEVELS = (-8.0, 0.0)  # dB
_RAMP = 0.005  # seconds
_PEAK = 0.9  # that no clip passes
_CODECS = {"vcodec": "libx264", "acodec": "aac"}
# A constant quantiser that drops small changes, and no B-frames: a held picture then costs no
# bits and is decoded to the very same picture.
_X264 = {
    "preset": "veryfast",
    "qp": 24,
    "bf": 0,
    "x264-params": "no-deblock=1:deadzone-inter=32",
}


def render_audio(scene: Scene) -> NDArray[np.float32]:
    """Render a scene's sound: its events, each of its own level, over its background.

    Returns:
        (samples,) at `sounds.SAMPLE_RATE`, mono, inside -1 to 1.
    """
    rng = np.random.default_rng([scene.seed, _SOUND_STREAM])
    mix = _gain(scene.background_level) * background(scene.duration, rng)
    for event in scene.events:
        start, stop = (n_samples(time, SAMPLE_RATE) for time in (event.onset, event.offset))
        sound = synthesize(event.label, (stop - start) / SAMPLE_RATE, rng)
        each = np.arange(1, len(sound) + 1)
        ramp = np.minimum(1, np.minimum(each, each[::-1]) / (_RAMP * SAMPLE_RATE))
        mix[start:stop] += _gain(rng.uniform(*_EVENT_LEVELS)) * ramp * sound
    return mix * np.float32(min(1, _PEAK / np.abs(mix).max()))


def render_clip(scene: Scene, path: Path) -> None:
    """Render a scene to an mp4 file; the same scene gives the same file.

    Args:
        scene: what to render.
        path: the file, in a folder that exists. It appears when it is whole, and not before.

    Raises:
        AvsedError: if ffmpeg fails or lacks an encoder.
        OSError: if a disk is full.
    """
    with work_folder(path.parent) as folder:
        audio_path, part = folder / "audio.wav", folder / path.name
        # In memory first: libsndfile's own errors do not say that a disk is full.
        sound = io.BytesIO()
        soundfile.write(sound, render_audio(scene), SAMPLE_RATE, subtype="PCM_16", format="WAV")
        with name_disk_errors(path):
            audio_path.write_bytes(sound.getbuffer())
        _encode(draw_pictures(scene), audio_path, part, scene.duration)
        part.replace(path)


def _gain(level: float) -> float:
    """Convert dB to a factor of amplitude."""
    return float(10 ** (level / 20))


def _encode(pictures: NDArray[np.uint8], audio_path: Path, path: Path, duration: float) -> None:
    # Repeated here and not by ffmpeg, which hangs now and then when it is to cut what it repeats.
    held = np.repeat(pictures, VIDEO_RATE // PICTURE_RATE, axis=0)
    frames = held[: round(duration * VIDEO_RATE)]
    try:
        run_ffmpeg(
            _command(audio_path, path).get_args(), stdin=frames.tobytes(), out_dir=path.parent
        )
    except subprocess.CalledProcessError as error:
        raise AvsedError(_complaint(path, error.stderr.decode(errors="replace"))) from error
    except subprocess.TimeoutExpired:
        raise AvsedError(f"{path}: {ffmpeg_path()} hangs; run the stage again") from None


def _command(audio_path: Path, path: Path) -> Any:
    """Build ffmpeg's command; it reads the pictures from its standard input."""
    video = ffmpeg.input(
        "pipe:",
        format="rawvideo",
        pix_fmt="rgb24",
        s=f"{WIDTH}x{HEIGHT}",  # as `video_size`, ffmpeg-python would want a pair
        framerate=VIDEO_RATE,
    )
    return (
        ffmpeg.output(
            video,
            ffmpeg.input(str(audio_path)),
            str(path),
            **_CODECS,
            **_X264,
            pix_fmt="yuv420p",
            audio_bitrate="96k",
            # One thread and no dates or versions: the same scene must give the same bytes.
            threads=1,
            flags="+bitexact",
            fflags="+bitexact",
        )
        .global_args("-loglevel", "error", "-filter_threads", "1")
        .overwrite_output()
    )


def _complaint(path: Path, stderr: str) -> str:
    """Say in one line why ffmpeg failed."""
    for codec in _CODECS.values():
        if f"Unknown encoder '{codec}'" in stderr:
            return (
                f"{ffmpeg_path()}: has no encoder {codec}; take this ffmpeg out of PATH so that "
                "the packaged one is used"
            )
    # The first error is the cause; those after it say what could not be done because of it.
    reason = next((line for line in stderr.splitlines() if line.strip()), "it does not say why")
    return f"{path}: cannot be written by {ffmpeg_path()}: {reason.strip()}"
