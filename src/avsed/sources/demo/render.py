"""Encode demo clips: the audio of a scene, and an mp4 file with audio and images."""

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
from avsed.sources.demo.images import DRAWING_RATE, HEIGHT, WIDTH, draw_images
from avsed.sources.demo.scenes import Scene
from avsed.sources.demo.sounds import SAMPLE_RATE, background, synthesize

VIDEO_RATE = 12  # video frames per second: each image is held for six

_SOUND_STREAM = 1  # spawn key of the scene's seed, separate from that of the images
_EVENT_LEVELS = (-8.0, 0.0)  # dB
_RAMP = 0.005  # seconds
_PEAK = 0.9  # maximum of every clip
_CODECS = {"vcodec": "libx264", "acodec": "aac"}
# A constant quantizer that drops small changes, and no B-frames: a held image then costs no
# bits and is decoded to the same image.
_X264 = {
    "preset": "veryfast",
    "qp": 24,
    "bf": 0,
    "x264-params": "no-deblock=1:deadzone-inter=32",
}


def render_audio(scene: Scene) -> NDArray[np.float32]:
    """Render the audio of a scene: its events at their levels over the background.

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
    """Render a scene to an mp4 file; the same scene produces the same file.

    Args:
        scene: what to render.
        path: the file, in a folder that exists. It appears when it is whole, and not before.

    Raises:
        AvsedError: if ffmpeg fails or lacks an encoder.
        OSError: if a disk is full.
    """
    with work_folder(path.parent) as folder:
        audio_path, part = folder / "audio.wav", folder / path.name
        # In memory first: libsndfile's errors do not report a full disk.
        sound = io.BytesIO()
        soundfile.write(sound, render_audio(scene), SAMPLE_RATE, subtype="PCM_16", format="WAV")
        with name_disk_errors(path):
            audio_path.write_bytes(sound.getbuffer())
        _encode(draw_images(scene), audio_path, part, scene.duration)
        part.replace(path)


def _gain(level: float) -> float:
    """Convert dB to an amplitude factor."""
    return float(10 ** (level / 20))


def _encode(images: NDArray[np.uint8], audio_path: Path, path: Path, duration: float) -> None:
    # Repeated here and not by ffmpeg, which sometimes hangs when it cuts repeated images.
    held = np.repeat(images, VIDEO_RATE // DRAWING_RATE, axis=0)
    frames = held[: round(duration * VIDEO_RATE)]
    try:
        run_ffmpeg(
            _command(audio_path, path).get_args(), stdin=frames.tobytes(), out_dir=path.parent
        )
    except subprocess.CalledProcessError as error:
        raise AvsedError(_explain_failure(path, error.stderr.decode(errors="replace"))) from error
    except subprocess.TimeoutExpired:
        raise AvsedError(f"{path}: {ffmpeg_path()} hangs; run the stage again") from None


def _command(audio_path: Path, path: Path) -> Any:
    """Build ffmpeg's command, which reads the images from standard input."""
    video = ffmpeg.input(
        "pipe:",
        format="rawvideo",
        pix_fmt="rgb24",
        s=f"{WIDTH}x{HEIGHT}",  # ffmpeg-python requires a pair for `video_size`
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
            # One thread, no dates and no versions: the same scene must produce the same bytes.
            threads=1,
            flags="+bitexact",
            fflags="+bitexact",
        )
        .global_args("-loglevel", "error", "-filter_threads", "1")
        .overwrite_output()
    )


def _explain_failure(path: Path, stderr: str) -> str:
    """Explain in one line why ffmpeg failed."""
    for codec in _CODECS.values():
        if f"Unknown encoder '{codec}'" in stderr:
            return (
                f"{ffmpeg_path()}: has no encoder {codec}; take this ffmpeg out of PATH so that "
                "the packaged one is used"
            )
    # The first error is the cause; later ones are its consequences.
    reason = next((line for line in stderr.splitlines() if line.strip()), "it does not say why")
    return f"{path}: cannot be written by {ffmpeg_path()}: {reason.strip()}"
