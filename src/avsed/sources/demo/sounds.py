"""One synthetic sound for each DCASE class, and background noise.

Every draw varies pitch, tempo and timbre. What stays the same within a class, and differs
between classes, is what an ear would name it by: rhythm, harmonics, colour of the noise.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from avsed.framing import n_samples

SAMPLE_RATE = 32_000  # Hz
SOUND_RMS = 0.1  # root mean square of every sound and background

_TABLE_LENGTH = 4096  # points of one period of a harmonic tone
_HIGHEST_HARMONIC = 8000  # Hz; leaves room below half the sample rate for pitches that rise
_VOWELS = np.array(  # Hz, the first three formants of a, e, i, o, u
    [(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)]
)

Samples = NDArray[np.float32]
_Wave = NDArray[np.float64]


def synthesize(label: str, duration: float, rng: np.random.Generator) -> Samples:
    """Synthesize a sound of a class that is audible from the first to the last sample.

    Args:
        label: one of the DCASE 2018 classes.
        duration: seconds, more than 0.
        rng: draws the pitch, tempo and timbre.

    Returns:
        (samples,) at `SAMPLE_RATE`; its root mean square is `SOUND_RMS`, its peak may pass 1.
    """
    return _leveled(_SOUNDS[label](n_samples(duration, SAMPLE_RATE), rng))


def background(duration: float, rng: np.random.Generator) -> Samples:
    """Synthesize steady noise of a random color between white and brown.

    Args:
        duration: seconds, more than 0.
        rng: draws the noise and its colour.

    Returns:
        (samples,) at `SAMPLE_RATE`; its root mean square is `SOUND_RMS`.
    """
    return _leveled(_noise(n_samples(duration, SAMPLE_RATE), rng, slope=rng.uniform(0, 2)))


def _alarm(n: int, rng: np.random.Generator) -> _Wave:
    """Beep, on one pitch or two in turn."""
    number, progress = _bursts(n, rng, period=rng.uniform(0.12, 0.4), jitter=0)
    pitches = rng.uniform(900, 2200) * np.array([1, rng.choice([1, 0.8, 1.25])])
    overtones = np.array([1, 0, rng.uniform(0.2, 0.6), 0, rng.uniform(0, 0.3)])
    return _tone(pitches[number % 2], overtones) * np.clip(20 * (1 - progress), 0, 1)


def _blender(n: int, rng: np.random.Generator) -> _Wave:
    """Whine in the middle frequencies, and wobble."""
    pitch = rng.uniform(190, 260)
    wobble = 1 + 0.03 * _curve(n, rng, rate=rng.uniform(4, 9))
    motor = _unit(_tone(pitch * wobble, _hump(pitch, rng.uniform(1200, 1700), 500)))
    blades = _unit(_band(_noise(n, rng), 900, 4000)) * (1 + 0.3 * _curve(n, rng, rate=8))
    return _ramped(motor + 0.35 * blades, rng)


def _cat(n: int, rng: np.random.Generator) -> _Wave:
    """Meow: the pitch rises and falls, and the mouth opens and closes."""
    _, progress = _bursts(n, rng, period=rng.uniform(0.7, 1.2), jitter=0.2)
    arc = np.sin(np.pi * np.clip(progress, 0, 1) ** 0.7)
    pitch = rng.uniform(420, 600)
    glide = pitch * (1 + rng.uniform(0.3, 0.6) * arc)
    closed = _tone(glide, _hump(pitch, 900, 350))
    opened = _tone(glide, _hump(pitch, rng.uniform(2000, 2800), 900))
    return ((1 - arc) * closed + arc * opened) * arc**0.5


def _dishes(n: int, rng: np.random.Generator) -> _Wave:
    """Knock at three dishes, each with its own inharmonic modes."""
    time = np.arange(n_samples(0.4, SAMPLE_RATE)) / SAMPLE_RATE
    hits = rng.random((3, n)) < rng.uniform(1, 2.5) / SAMPLE_RATE
    # The event starts with a knock and rings to its end.
    hits[0, 0] = hits[1, -min(n, n_samples(0.15, SAMPLE_RATE))] = True
    sound = np.zeros(n)
    for dish in hits * rng.uniform(0.4, 1, hits.shape):
        modes = rng.uniform(1500, 9500, (7, 1))
        decays = rng.uniform(20, 60, (7, 1))
        ring = np.sum(np.exp(-decays * time) * np.sin(2 * np.pi * modes * time), axis=0)
        sound += signal.oaconvolve(dish, ring)[:n]
    return sound


def _dog(n: int, rng: np.random.Generator) -> _Wave:
    """Bark: short hoarse bursts, their pitch falling."""
    _, progress = _bursts(n, rng, period=rng.uniform(0.25, 0.5), jitter=0.3)
    strength = np.clip(progress * 12, 0, 1) * np.clip(1 - progress, 0, 1) ** 1.5
    pitch = rng.uniform(170, 320)
    throat = _tone(pitch * (0.8 + 0.6 * strength), _hump(pitch, rng.uniform(500, 800), 350))
    breath = _band(_noise(n, rng), 400, 1800)
    return strength * (_unit(throat) + rng.uniform(0.2, 0.5) * _unit(breath))


def _frying(n: int, rng: np.random.Generator) -> _Wave:
    """Crackle over a hiss."""
    drops = (rng.random(n) < rng.uniform(300, 900) / SAMPLE_RATE) * rng.exponential(1, n)
    crackle = _band(drops * rng.choice([-1, 1], n), 3500, rng.uniform(8000, 12_000))
    hiss = _band(_noise(n, rng), 5000, 13_000)
    return _ramped(_unit(crackle) + rng.uniform(0.4, 0.8) * _unit(hiss), rng)


def _running_water(n: int, rng: np.random.Generator) -> _Wave:
    """Bubble: bands of noise that swell independently."""
    edges = np.geomspace(rng.uniform(250, 400), 7000, 6)
    noise = _noise(n, rng)
    bands = [
        _unit(_band(noise, low, high)) * np.exp(0.8 * _curve(n, rng, rate=rng.uniform(6, 25)))
        for low, high in pairwise(edges)
    ]
    return _ramped(np.sum(bands, axis=0), rng)


def _shaver(n: int, rng: np.random.Generator) -> _Wave:
    """Buzz: many narrow harmonics of a low pitch, strong only where they are high."""
    pitch = rng.uniform(100, 200)
    drift = 1 + 0.004 * _curve(n, rng, rate=2)
    overtones = _hump(pitch, rng.uniform(4500, 6500), 900) + 0.3 * _hump(pitch, pitch, 200)
    return _ramped(_unit(_tone(pitch * drift, overtones)) + 0.08 * rng.standard_normal(n), rng)


def _speech(n: int, rng: np.random.Generator) -> _Wave:
    """Babble: syllables of glottal pulses that glide from vowel to vowel, some with a hiss."""
    number, progress = _bursts(n, rng, period=rng.uniform(0.17, 0.26), jitter=0.3)
    phrase = np.clip(progress, 0, 1)
    pitch = rng.uniform(95, 230)
    overtones = 1 / np.arange(1, _HIGHEST_HARMONIC // pitch)
    pulses = _tone(pitch * (1 + 0.08 * _curve(n, rng, rate=3)), overtones)
    vowels = np.stack([_formants(pulses, formants) for formants in _VOWELS])
    order = rng.integers(len(_VOWELS), size=number[-1] + 2)
    each = np.arange(n)
    voice = (1 - phrase) * vowels[order[number], each] + phrase * vowels[order[number + 1], each]
    hissing = (rng.random(number[-1] + 1) < 0.4)[number] & (progress < 0.3)
    hiss = _unit(_band(_noise(n, rng), 4000, 9000)) * hissing
    babble: _Wave = voice * np.sin(np.pi * phrase) ** 0.5 + 0.3 * hiss
    return babble


def _vacuum_cleaner(n: int, rng: np.random.Generator) -> _Wave:
    """Hum low, and draw air."""
    pitch = rng.uniform(85, 130)
    speed = 1 + 0.005 * _curve(n, rng, rate=1)
    motor = _tone(pitch * speed, _hump(pitch, rng.uniform(150, 350), 250))
    air = _noise(n, rng, slope=rng.uniform(0.8, 1.2))
    return _ramped(_unit(motor) + rng.uniform(0.7, 1.1) * _unit(air), rng)


_SOUNDS: dict[str, Callable[[int, np.random.Generator], _Wave]] = {
    "Alarm_bell_ringing": _alarm,
    "Blender": _blender,
    "Cat": _cat,
    "Dishes": _dishes,
    "Dog": _dog,
    "Electric_shaver_toothbrush": _shaver,
    "Frying": _frying,
    "Running_water": _running_water,
    "Speech": _speech,
    "Vacuum_cleaner": _vacuum_cleaner,
}


def _bursts(
    n: int, rng: np.random.Generator, *, period: float, jitter: float
) -> tuple[NDArray[np.int64], _Wave]:
    """Fill n samples with bursts about every `period` seconds, the last up to the end.

    Returns:
        For each sample, its burst's number and the progress in it: 0 to 1, more in the pause.
    """
    n_bursts = max(1, round(n / SAMPLE_RATE / period))
    edges = np.cumsum(np.append(0, rng.uniform(1 - jitter, 1 + jitter, n_bursts)))
    position = np.interp(np.arange(n) / n, edges / edges[-1], np.arange(n_bursts + 1))
    number = np.minimum(position.astype(np.int64), n_bursts - 1)
    filled = rng.uniform(0.6, 0.8, n_bursts)
    filled[-1] = 1
    return number, (position - number) / filled[number]


def _tone(pitch: _Wave, overtones: _Wave) -> _Wave:
    """Sound harmonics, of amplitudes (harmonics,), of a pitch in Hz that may move (samples,)."""
    table = np.fft.irfft(np.append(0, -1j * overtones), _TABLE_LENGTH) * _TABLE_LENGTH / 2
    phase = np.cumsum(pitch / SAMPLE_RATE) * _TABLE_LENGTH
    # A table of this length is fine enough to read without interpolation: -60 dB of noise.
    return table[phase.astype(np.int64) % _TABLE_LENGTH]


def _hump(pitch: float, center: float, width: float) -> _Wave:
    """Return the amplitudes of harmonics within a width around a center, in Hz."""
    frequencies = pitch * np.arange(1, _HIGHEST_HARMONIC // pitch)
    return np.exp(-0.5 * ((frequencies - center) / width) ** 2)


def _noise(n: int, rng: np.random.Generator, slope: float = 0) -> _Wave:
    """Draw noise whose power falls with frequency to the power of `slope`."""
    noise = rng.standard_normal(n)
    if slope == 0:
        return noise
    length = 2 ** int(np.ceil(np.log2(n)))
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(noise, length) * np.maximum(frequencies, 30) ** (-slope / 2)
    return np.fft.irfft(spectrum, length)[:n]


def _band(wave: _Wave, low: float, high: float) -> _Wave:
    """Keep the frequencies from `low` to `high`, in Hz."""
    sections = signal.butter(2, (low, high), "bandpass", fs=SAMPLE_RATE, output="sos")
    filtered: _Wave = signal.sosfilt(sections, wave)
    return filtered


def _formants(wave: _Wave, frequencies: NDArray[Any]) -> _Wave:
    """Pass a wave through resonances at some frequencies, in Hz."""
    for frequency in frequencies:
        radius = np.exp(-np.pi * (50 + frequency / 20) / SAMPLE_RATE)
        swing = 2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
        wave = signal.lfilter([1 - swing + radius**2], [1, -swing, radius**2], wave)
    return _unit(wave)


def _curve(n: int, rng: np.random.Generator, *, rate: float) -> _Wave:
    """Draw a curve from -1 to 1 with `rate` random corners per second."""
    corners = rng.uniform(-1, 1, int(n / SAMPLE_RATE * rate) + 2)
    times = np.arange(n) / SAMPLE_RATE
    return np.interp(times * rate, np.arange(len(corners)), corners)


def _ramped(wave: _Wave, rng: np.random.Generator) -> _Wave:
    """Start and stop as a machine does, in a few hundredths of a second."""
    up, down = rng.uniform(0.03, 0.1, 2) * SAMPLE_RATE
    each = np.arange(1, len(wave) + 1)
    ramped: _Wave = wave * np.minimum(1, np.minimum(each / up, each[::-1] / down))
    return ramped


def _unit(wave: _Wave) -> _Wave:
    """Scale to a root mean square of 1."""
    scaled: _Wave = wave / np.sqrt(np.mean(wave**2))
    return scaled


def _leveled(wave: _Wave) -> Samples:
    return (SOUND_RMS * _unit(wave)).astype(np.float32)
