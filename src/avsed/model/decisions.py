"""How the scores of a model become tags and events: thresholds and filters (Section 2.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from avsed.errors import AvsedError
from avsed.params import EventSettings, Fraction, Postprocess
from avsed.runtime.files import atomic_write

FILE_NAME = "decisions.json"


class Decisions(EventSettings):
    """The contents of decisions.json.

    Attributes:
        tags: class to the threshold of its clip scores.
        events: class to the threshold of its frame scores.
    """

    tags: dict[str, Fraction]
    events: dict[str, Fraction]


def fixed_decisions(classes: Sequence[str], postprocess: Postprocess) -> Decisions:
    """Return decisions with one threshold for all classes."""
    thresholds = dict.fromkeys(classes, postprocess.threshold)
    return make_decisions(postprocess, tags=thresholds, events=thresholds)


def make_decisions(
    settings: EventSettings, *, tags: Mapping[str, float], events: Mapping[str, float]
) -> Decisions:
    """Return decisions with the thresholds of each class."""
    fields = {name: getattr(settings, name) for name in EventSettings.model_fields}
    return Decisions(**fields, tags=dict(tags), events=dict(events))


def write_decisions(decisions: Decisions, model_dir: Path) -> None:
    """Write `decisions.json`."""
    with atomic_write(model_dir / FILE_NAME) as part:
        part.write_text(decisions.model_dump_json(indent=2) + "\n", "utf-8")


def read_decisions(model_dir: Path, classes: Sequence[str]) -> Decisions | None:
    """Read `decisions.json`; return None if there is none.

    Args:
        model_dir: the model's folder.
        classes: of the model.

    Raises:
        AvsedError: if the file is invalid, or has other classes.
    """
    path = model_dir / FILE_NAME
    try:
        decisions = Decisions.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
    else:
        if all(set(of_each) == set(classes) for of_each in decisions.by_class.values()):
            return decisions
        reason = "its classes are not those of model.json"
    raise AvsedError(f"{path}: invalid ({reason}); run `dvc repro describe@{model_dir.name}`")
