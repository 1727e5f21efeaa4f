"""Read annotations of ELAN (.eaf), which are XML."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote
from xml.parsers import expat

from avsed.dataset.names import clip_id_of
from avsed.errors import AvsedError
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks, base_name, name_beside


@dataclass(kw_only=True)
class _Annotation:
    """An annotation with time slots, or with the annotation that it refers to."""

    tier: str
    first: str
    last: str
    parent: str
    text: str = ""


@dataclass(kw_only=True)
class _Document:
    """The content of a file; handles the events of the XML parser."""

    media: dict[str, float] = field(default_factory=dict)  # recording to its seconds before 0
    units: str = "milliseconds"
    slots: dict[str, str] = field(default_factory=dict)  # time slot to its time
    tiers: list[str] = field(default_factory=list)
    annotations: dict[str, _Annotation] = field(default_factory=dict)
    reads_text: bool = False

    def start(self, element: str, attributes: dict[str, str]) -> None:
        self.reads_text = element == "ANNOTATION_VALUE" and bool(self.annotations)
        if element == "HEADER":
            self.units = attributes.get("TIME_UNITS", self.units)
        elif element == "MEDIA_DESCRIPTOR":
            name = clip_id_of(base_name(unquote(attributes.get("MEDIA_URL", ""))))
            if name:
                self.media.setdefault(name, int(attributes.get("TIME_ORIGIN") or 0) / 1000)
        elif element == "TIME_SLOT":
            self.slots[attributes["TIME_SLOT_ID"]] = attributes.get("TIME_VALUE", "")
        elif element == "TIER":
            self.tiers.append(attributes["TIER_ID"])
        elif element in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
            self.annotations[attributes["ANNOTATION_ID"]] = _Annotation(
                tier=self.tiers[-1],
                first=attributes.get("TIME_SLOT_REF1", ""),
                last=attributes.get("TIME_SLOT_REF2", ""),
                parent=attributes.get("ANNOTATION_REF", ""),
            )

    def end(self, element: str) -> None:
        self.reads_text = False

    def data(self, text: str) -> None:
        if self.reads_text:
            next(reversed(self.annotations.values())).text += text

    def refuse_document_type(self, *_: object) -> None:
        raise ValueError("declares a document type, which ELAN does not write")

    def times(self, annotation: _Annotation) -> tuple[float, float]:
        """Return onset and offset in seconds, of a reference those of its parent.

        Raises:
            ValueError: if a time slot has no time, which ELAN shows between its neighbors.
        """
        for _ in self.annotations:
            if not annotation.parent:
                break
            annotation = self.annotations[annotation.parent]
        first, last = self.slots[annotation.first], self.slots[annotation.last]
        return int(first) / 1000, int(last) / 1000


def read_eaf(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read the annotations of all tiers, or of those in the options.

    Annotations that refer to others have the times of these. The recording has the name of the
    media in the file; if there are several, that of the file itself if it is among them.

    Raises:
        AvsedError: if the file is missing or damaged, declares entities, has other units than
            milliseconds, or has no tier of a given name.
    """
    document = _parse(path)
    if document.units != "milliseconds":
        raise AvsedError(f"{path}: has times in {document.units}; milliseconds can be read")
    if missing := set(options.tiers).difference(document.tiers):
        raise AvsedError(
            f"{path}: has no tier {min(missing)}; its tiers are {', '.join(document.tiers)}"
        )
    name, origin = _media(document, path)
    labels = []
    for annotation in document.annotations.values():
        if options.tiers and annotation.tier not in options.tiers:
            continue
        try:
            onset, offset = document.times(annotation)
        except (KeyError, ValueError):
            remarks.add(
                "dropped annotations without a time of their own (align them in ELAN)",
                f"{annotation.tier}: {annotation.text}",
            )
            continue
        labels.append(Label(text=annotation.text, onset=onset + origin, offset=offset + origin))
    return [Recording(name=name, labels=tuple(labels))]


def _parse(path: Path) -> _Document:
    document = _Document()
    parser = expat.ParserCreate()
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.data
    # Entities can expand to gigabytes, or read other files.
    parser.StartDoctypeDeclHandler = document.refuse_document_type
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from error
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise AvsedError(
            f"{path}: is not a valid file of ELAN ({error}); save it again in ELAN"
        ) from None
    return document


def _media(document: _Document, path: Path) -> tuple[str, float]:
    """Return the name of the recording, and the seconds of its media before time 0."""
    if path.stem in document.media or not document.media:
        return name_beside(path), document.media.get(path.stem, 0.0)
    return next(iter(document.media.items()))
