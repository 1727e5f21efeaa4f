"""Images of a scene: a room, and in it most of what is heard and some of what is not.

Vision helps to recognize a sound without giving it away. Some sources stay out of the image,
some objects in it are silent, and two pairs of classes look much alike: blender and vacuum
cleaner, cat and dog.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import DCASE_2018_CLASSES, Event
from avsed.sources.demo.scenes import Scene

DRAWING_RATE = 2  # images per second: a scene changes at no other time
WIDTH, HEIGHT = 160, 120  # pixels
VISIBLE_SHARE = 0.75  # of the events
SILENT_SHARE = 0.25  # of the clips: those with an object that is not heard

_PARTLY_VISIBLE_SHARE = 0.3  # of the visible events
_LEAST_VISIBLE_PART = 0.5  # of such an event's length
_SHORTEST_SILENT = 1.0  # seconds
_MOVING_SHARE = 0.5  # of the images: those in which an object has moved
_SIZES = (70, 100)  # pixels, the side of an object's square
_APPEARANCE_STREAM, _DRAWING_STREAM = 2, 3  # apart from each other and from the sound's

_Mask = NDArray[np.bool_]
_Color = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """The time that an object is in the image.

    Attributes:
        label: the class that the object looks like.
        onset: seconds from the clip's start.
        offset: seconds from the clip's start, after the onset.
        event: the event whose source the object is; None for a silent object.
    """

    label: str
    onset: float
    offset: float
    event: Event | None


def appearances(scene: Scene) -> tuple[Appearance, ...]:
    """Return the objects that the images of a scene show, and when."""
    rng = np.random.default_rng([scene.seed, _APPEARANCE_STREAM])
    shown = []
    for event in scene.events:
        if rng.random() < VISIBLE_SHARE:
            partly = rng.random() < _PARTLY_VISIBLE_SHARE
            least = _LEAST_VISIBLE_PART if partly else 1
            shown.append(_appear(event.label, event.onset, event.offset, least, event, rng))
    if rng.random() < SILENT_SHARE:
        heard = {event.label for event in scene.events}
        label = rng.choice([label for label in DCASE_2018_CLASSES if label not in heard])
        least = _SHORTEST_SILENT / scene.duration
        shown.append(_appear(str(label), 0, scene.duration, least, None, rng))
    return tuple(shown)


def draw_images(scene: Scene) -> NDArray[np.uint8]:
    """Draw the images of a scene, one at each multiple of 1 / `DRAWING_RATE` seconds.

    Returns:
        (n_images, `HEIGHT`, `WIDTH`, 3) RGB.
    """
    rng = np.random.default_rng([scene.seed, _DRAWING_STREAM])
    instants = np.arange(0, scene.duration, 1 / DRAWING_RATE)
    images = np.repeat(_room(rng)[None], len(instants), axis=0)
    for appearance in appearances(scene):
        sprite = _Sprite(int(rng.integers(*_SIZES)), rng)
        _LOOKS[appearance.label](sprite)
        places = _wander(sprite.size, len(instants), rng)
        middles = instants + 0.5 / DRAWING_RATE
        visible = (middles >= appearance.onset) & (middles < appearance.offset)
        for number in np.flatnonzero(visible):
            sprite.paste(images[number], *places[number])
    return images


def _appear(
    label: str,
    onset: float,
    offset: float,
    least: float,
    event: Event | None,
    rng: np.random.Generator,
) -> Appearance:
    """Draw a part of a stretch, of at least the share `least`."""
    hidden = (offset - onset) * rng.uniform(0, 1 - least)
    before = rng.uniform(0, hidden)
    return Appearance(
        label=label, onset=onset + before, offset=offset - (hidden - before), event=event
    )


def _room(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a wall, a floor and some furniture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wall = rng.uniform(140, 180) + rng.uniform(-12, 12, 3)
    floor = rng.uniform(90, 120) + rng.uniform(-12, 12, 3)
    horizon = int(rng.uniform(0.5, 0.75) * HEIGHT)
    room = np.where((y < horizon)[..., None], wall, floor)
    for _ in range(rng.integers(2, 6)):
        top, left = rng.integers((horizon, WIDTH))
        height, width = rng.integers(15, 60, 2)
        furniture = room[top : top + height, left : left + width]
        furniture[:] = 0.85 * furniture + 0.15 * rng.uniform(30, 230, 3)
    light = 1 + rng.uniform(-0.2, 0.2) * (x / WIDTH - 0.5) - 0.2 * (y / HEIGHT)
    lit: NDArray[np.uint8] = np.clip(room * light[..., None], 0, 255).astype(np.uint8)
    return lit


def _wander(size: int, n_images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the top left corner of the object in each image: (n_images, 2), inside the image."""
    room = np.array([HEIGHT - size, WIDTH - size])
    steps = rng.integers(-1, 2, (n_images, 2)) * (rng.random((n_images, 1)) < _MOVING_SHARE)
    return np.clip(rng.integers(room) + np.cumsum(steps, axis=0), 0, room)


class _Sprite:
    """A square on which an object is drawn, in coordinates from -1 (left, top) to 1."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.y, self.x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        self._colors = np.zeros((size, size, 3), np.uint8)
        self._drawn = np.zeros((size, size), bool)
        self._tint = rng.uniform(-20, 20, 3)
        self._grain = rng.normal(0, 6, (size, size, 1))

    def paint(self, color: _Color, mask: _Mask) -> None:
        colors = np.clip(np.array(color) + self._tint + self._grain, 0, 255)
        self._colors[mask] = colors[mask].astype(np.uint8)
        self._drawn |= mask

    def disc(self, x: float, y: float, width: float, height: float) -> _Mask:
        """Mark an ellipse around a point, of some half axes."""
        inside: _Mask = ((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2 < 1
        return inside

    def box(self, left: float, top: float, right: float, bottom: float) -> _Mask:
        """Mark a rectangle."""
        across = (self.x >= left) & (self.x < right)
        inside: _Mask = across & (self.y >= top) & (self.y < bottom)
        return inside

    def paste(self, image: NDArray[np.uint8], top: int, left: int) -> None:
        ground = image[top : top + self.size, left : left + self.size]
        ground[self._drawn] = self._colors[self._drawn]


def _alarm(sprite: _Sprite) -> None:
    """Draw a red clock with two bells and a white face."""
    for side in (-0.5, 0.5):
        sprite.paint((190, 150, 40), sprite.disc(side, -0.65, 0.35, 0.3))
    sprite.paint((210, 30, 30), sprite.disc(0, 0.1, 0.85, 0.85))
    sprite.paint((245, 245, 235), sprite.disc(0, 0.1, 0.6, 0.6))
    sprite.paint((20, 20, 20), sprite.box(-0.05, -0.35, 0.05, 0.1) | sprite.box(0, 0.1, 0.4, 0.2))


def _blender(sprite: _Sprite) -> None:
    """Draw a gray jug that widens to its top, on a dark base."""
    jug = (np.abs(sprite.x) < 0.45 - 0.2 * sprite.y) & (np.abs(sprite.y + 0.2) < 0.75)
    sprite.paint((165, 175, 185), jug)
    sprite.paint((110, 160, 80), jug & (sprite.y > -0.2))
    sprite.paint((60, 60, 70), sprite.box(-0.55, 0.5, 0.55, 1))


def _vacuum_cleaner(sprite: _Sprite) -> None:
    """Draw a gray body on a dark base, with a tube."""
    sprite.paint((165, 170, 180), sprite.disc(-0.15, 0.1, 0.6, 0.8))
    sprite.paint((60, 60, 70), sprite.box(-0.75, 0.5, 0.5, 1))
    sprite.paint((80, 80, 90), np.abs(sprite.x - 0.75 - 0.15 * sprite.y) < 0.1)


def _head(sprite: _Sprite, fur: _Color, snout: _Color) -> None:
    """Draw the head that cat and dog share."""
    sprite.paint(fur, sprite.disc(0, 0.15, 0.75, 0.75))
    sprite.paint(snout, sprite.disc(0, 0.5, 0.35, 0.28))
    for side in (-0.3, 0.3):
        sprite.paint((25, 25, 20), sprite.disc(side, 0, 0.1, 0.12))
    sprite.paint((30, 20, 20), sprite.disc(0, 0.4, 0.12, 0.08))


def _cat(sprite: _Sprite) -> None:
    """Draw a brown head with pointed ears."""
    ears = np.abs(np.abs(sprite.x) - 0.5) < 0.3 * (sprite.y + 1)
    sprite.paint((150, 115, 80), ears & (sprite.y < 0))
    _head(sprite, (165, 125, 85), (225, 205, 185))


def _dog(sprite: _Sprite) -> None:
    """Draw a brown head with hanging ears."""
    _head(sprite, (160, 115, 70), (215, 190, 160))
    for side in (-0.75, 0.75):
        sprite.paint((95, 65, 40), sprite.disc(side, 0.05, 0.22, 0.6))


def _dishes(sprite: _Sprite) -> None:
    """Draw a pile of white plates with blue rims."""
    for height in (0.6, 0.3, 0, -0.3):
        sprite.paint((60, 90, 190), sprite.disc(0, height, 0.98, 0.35))
        sprite.paint((240, 240, 245), sprite.disc(0, height - 0.06, 0.92, 0.28))


def _shaver(sprite: _Sprite) -> None:
    """Draw a slim dark blue grip, leaning, with a bright head."""
    leaning = np.abs(sprite.x - 0.3 * sprite.y) < 0.22
    sprite.paint((30, 45, 100), leaning & (sprite.y > -0.5))
    sprite.paint((215, 220, 225), leaning & (sprite.y <= -0.5))
    sprite.paint((90, 220, 230), sprite.disc(0.05, 0.1, 0.1, 0.1))


def _frying(sprite: _Sprite) -> None:
    """Draw a black pan from above, with yellow pieces in it."""
    sprite.paint((35, 30, 30), sprite.disc(-0.25, 0, 0.75, 0.75) | sprite.box(0.4, -0.1, 1, 0.1))
    for x, y in ((-0.5, -0.2), (-0.05, -0.3), (-0.3, 0.3), (0.1, 0.2)):
        sprite.paint((235, 190, 60), sprite.disc(x, y, 0.19, 0.15))


def _running_water(sprite: _Sprite) -> None:
    """Draw a tap with a striped stream of water."""
    tap = sprite.box(-0.9, -0.8, 0.5, -0.5) | sprite.box(0.2, -0.8, 0.6, -0.3)
    sprite.paint((150, 155, 160), tap)
    stream = sprite.box(0.15, -0.3, 0.65, 1)
    sprite.paint((120, 190, 240), stream)
    sprite.paint((215, 240, 255), stream & (np.sin(20 * sprite.x) > 0.3))
    sprite.paint((120, 190, 240), sprite.disc(0.3, 0.9, 0.7, 0.15))


def _speech(sprite: _Sprite) -> None:
    """Draw a face under dark hair."""
    sprite.paint((55, 35, 25), sprite.disc(0, -0.25, 0.75, 0.7))
    sprite.paint((225, 175, 145), sprite.disc(0, 0.15, 0.6, 0.8))
    for side in (-0.25, 0.25):
        sprite.paint((250, 250, 250), sprite.disc(side, 0, 0.14, 0.09))
        sprite.paint((40, 60, 90), sprite.disc(side, 0, 0.07, 0.09))
    sprite.paint((170, 50, 60), sprite.disc(0, 0.55, 0.25, 0.1))


_LOOKS: dict[str, Callable[[_Sprite], None]] = {
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
