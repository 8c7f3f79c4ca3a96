"""Scores of music21's corpus as notes, beats and labels: chorales, dances, and several composers."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from music21 import converter, corpus, harmony
from music21.exceptions21 import Music21Exception
from pieces import PITCH_CLASSES, Piece, ScoreNote

PARTS = 9  # of a score; the tenth channel of General MIDI is for drums
UNREADABLE = (Music21Exception, ValueError, TypeError, AttributeError, KeyError, IndexError, ZeroDivisionError)
COMPOSERS = ("bach", "beethoven", "haydn", "monteverdi", "mozart", "palestrina", "trecento")
TUNEBOOKS = ("ryansMammoth", "oneills1850", "airdsAirs")
# as tune books call them; a double jig is the common jig
DANCES = {
    "reel": "reel",
    "jig": "jig",
    "double jig": "jig",
    "hornpipe": "hornpipe",
    "slip jig": "slip jig",
    "slipjig": "slip jig",
    "strathspey": "strathspey",
}


def read_notes(score: Any) -> list[ScoreNote]:
    """All notes of the first parts of a music21 score; ties joined, chord symbols left out."""
    found = []
    for part, stream in enumerate(list(score.parts)[:PARTS]):
        for element in stream.stripTies().flatten().notes:
            if not isinstance(element, harmony.Harmony):
                quarters = float(element.duration.quarterLength)
                pitches = [pitch.midi for pitch in element.pitches]
                found += [ScoreNote(float(element.offset), quarters, pitch, part) for pitch in pitches]
    return found


def read_metre(score: Any) -> tuple[list[float], list[float]]:
    """Beats and downbeats in quarter notes, from the bars of the first part.

    A short first bar is the end of a bar. A short bar later on and the next short one are one bar, which a repeat sign
    divides.
    """
    beats, downbeats, missing = [], [], 0.0
    for number, measure in enumerate(score.parts[0].getElementsByClass("Measure")):
        signature = measure.timeSignature or measure.getContextByClass("TimeSignature")
        length, offset = float(measure.duration.quarterLength), float(measure.offset)
        bar = float(signature.barDuration.quarterLength) if signature else length
        step = float(signature.beatDuration.quarterLength) if signature else 1.0
        before = 0.0  # part of this bar that lies before the measure
        if number == 0 and length < bar:
            before = bar - length
        elif 0 < length <= missing + 1e-6:
            before = bar - missing
        for beat in range(round(bar / step)):
            place = beat * step - before
            if -1e-6 <= place < length - 1e-6:
                beats.append(offset + place)
                if beat == 0:
                    downbeats.append(offset + place)
        missing = max(0.0, bar - before - length)
    return beats, downbeats


def key_of(score: Any) -> str | None:
    """The key on which two readings agree: Krumhansl's profiles over the piece, and the last of the lowest notes."""
    key = score.analyze("key")
    last = [list(part.flatten().notes) for part in score.parts]
    lowest = min((min(pitch.midi for pitch in notes[-1].pitches) for notes in last if notes), default=None)
    if lowest is None or lowest % 12 != key.tonic.pitchClass:
        return None
    return f"{PITCH_CLASSES[key.tonic.pitchClass]} {key.mode}"


class Listed(NamedTuple):
    """A score that is not read yet: its unique name, its group of which only some are read, and how to read it."""

    name: str
    group: str
    read: Callable[[], Piece | None]


def chorales() -> Iterator[Listed]:
    """Bach's chorales with their keys; those without a sure key are left out."""
    for path in _files("bach", "*.mxl"):
        yield Listed(path.stem, "", partial(_piece, path.stem, path.stem, partial(corpus.parse, path)))


def composers() -> Iterator[Listed]:
    """Scores of COMPOSERS; the movements of a quartet are one work, in one split."""
    for composer in COMPOSERS:
        for path in _files(composer, "*"):
            if path.suffix in (".mxl", ".xml", ".krn"):
                is_movement = path.stem.startswith("movement")
                work = f"{composer}/{path.parent.name if is_movement else path.stem}"
                name = f"{work}/{path.stem}" if is_movement else work
                yield Listed(name, composer, partial(_piece, name, work, partial(corpus.parse, path), composer))


def dances() -> Iterator[Listed]:
    """Tunes of TUNEBOOKS that say their dance; tunes of the same title are one piece, whatever the book."""
    for book in TUNEBOOKS:
        for path in _files(book, "*.abc"):
            for tune in re.split(r"(?m)^(?=X:)", path.read_text(encoding="utf-8", errors="replace")):
                fields = {name: text.strip() for name, text in re.findall(r"(?m)^([XTR]):(.*)$", tune)}
                kind = DANCES.get(re.sub(r"[^a-z ]", "", fields.get("R", "").lower()).strip())
                if "X" in fields and kind:
                    title = re.sub(r"[^a-z]", "", fields.get("T", path.stem).lower())
                    parse = partial(converter.parse, tune, format="abc")
                    yield Listed(title, kind, partial(_piece, title, title, parse, kind))


def _piece(name: str, work: str, parse: Callable[[], Any], label: str | None = None) -> Piece | None:
    """Read a score; without a label, its key is the label. None, and a line that says why, if that fails."""
    try:
        score = parse()
        label = label or key_of(score)
        notes, (beats, downbeats) = read_notes(score), read_metre(score)
    except UNREADABLE as error:
        print(f"left out: {name}: {type(error).__name__}: {str(error)[:80]}", file=sys.stderr)
        return None
    if not (label and notes and beats):
        print(f"left out: {name}: {'no notes or beats' if label else 'its key is not sure'}", file=sys.stderr)
        return None
    return Piece(name, work, notes, beats, downbeats, label)


def _files(folder: str, pattern: str) -> list[Path]:
    return sorted(path for path in map(Path, corpus.getComposer(folder)) if path.match(pattern))
