"""Which of AudioSet's classes stand for the classes of a data set."""

from collections.abc import Mapping, Sequence

# The classes of DCASE 2018 task 4, whose clips were chosen by labels of AudioSet. General classes
# (Water, Sizzle) are left out where they also name other sounds (rain, film crackle).
AUDIOSET_NAMES: Mapping[str, tuple[str, ...]] = {
    "Alarm_bell_ringing": (
        "Alarm",
        "Alarm clock",
        "Bell",
        "Buzzer",
        "Ding-dong",
        "Doorbell",
        "Fire alarm",
        "Ringtone",
        "Smoke detector, smoke alarm",
        "Telephone",
        "Telephone bell ringing",
    ),
    "Blender": ("Blender",),
    "Cat": ("Cat", "Caterwaul", "Meow", "Purr"),
    "Dishes": ("Cutlery, silverware", "Dishes, pots, and pans"),
    "Dog": ("Bark", "Bow-wow", "Dog", "Growling", "Howl", "Whimper (dog)", "Yip"),
    "Electric_shaver_toothbrush": ("Electric shaver, electric razor", "Electric toothbrush"),
    "Frying": ("Frying (food)",),
    "Running_water": (
        "Bathtub (filling or washing)",
        "Sink (filling or washing)",
        "Water tap, faucet",
    ),
    "Speech": (
        "Child speech, kid speaking",
        "Conversation",
        "Narration, monologue",
        "Speech",
    ),
    "Vacuum_cleaner": ("Vacuum cleaner",),
}


def map_classes(
    classes: Sequence[str], audioset_names: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Map classes to AudioSet's: by the table above, else by the same name.

    Case, and underscores in place of other characters, make no difference between names.

    Args:
        classes: of a data set.
        audioset_names: of all columns of scores.

    Returns:
        Class to its columns; empty for a class that AudioSet does not have.
    """
    columns = {_plain(name): column for column, name in enumerate(audioset_names)}
    mapped = {}
    for label in classes:
        names = AUDIOSET_NAMES.get(label, (label,))
        mapped[label] = tuple(columns[_plain(name)] for name in names if _plain(name) in columns)
    return mapped


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.casefold())
