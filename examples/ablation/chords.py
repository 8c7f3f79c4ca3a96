"""Chords from notes, by a stated rule: 12 major triads, 12 minor triads, and none."""

from collections.abc import Sequence
from itertools import pairwise

from pieces import PITCH_CLASSES, Note

COVERAGE = 0.7  # share of the sounding time that the triad's tones have; lets a dominant seventh through
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}


def chord_of(notes: Sequence[Note], start: float, end: float) -> str | None:
    """The chord between two times, such as "C major"; None if there is none.

    It is the triad all of whose tones sound, and whose tones have at least COVERAGE of the time that all notes sound,
    added over the notes. Of several such triads, the one with the largest share; of equal ones the one whose root is
    the lowest note, or none.
    """
    heard = [(note, min(note.end, end) - max(note.start, start)) for note in notes]
    heard = [(note, seconds) for note, seconds in heard if seconds > 1e-6]
    seconds_of = [0.0] * 12
    for note, seconds in heard:
        seconds_of[note.pitch % 12] += seconds
    found: dict[tuple[int, str], float] = {}
    for root in range(12):
        for mode, steps in TRIADS.items():
            tones = [seconds_of[(root + step) % 12] for step in steps]
            if all(tones) and (share := sum(tones) / sum(seconds_of)) >= COVERAGE:
                found[root, mode] = round(share, 6)
    if not found:
        return None
    best = [triad for triad, share in found.items() if share == max(found.values())]
    lowest = min(note.pitch for note, _ in heard) % 12
    chosen = best if len(best) == 1 else [triad for triad in best if triad[0] == lowest]
    return f"{PITCH_CLASSES[chosen[0][0]]} {chosen[0][1]}" if chosen else None


def chords_between(notes: Sequence[Note], times: Sequence[float]) -> list[tuple[float, float, str]]:
    """The chord from each time to the next, equal neighbours joined; stretches without a chord are left out.

    Args:
        notes: of all parts.
        times: ascending, such as the beats and the end.

    Returns:
        (start, end, chord) in seconds.
    """
    found: list[tuple[float, float, str]] = []
    for start, end in pairwise(times):
        chord = chord_of(notes, start, end)
        if chord is None:
            continue
        if found and found[-1][1:] == (start, chord):
            found[-1] = (found[-1][0], end, chord)
        else:
            found.append((start, end, chord))
    return found
