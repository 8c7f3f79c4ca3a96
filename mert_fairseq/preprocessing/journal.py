"""The journal of a run: one line a finished file, so that a killed run goes on where it stopped."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import soundfile
import soxr

from mert_fairseq.files import replacing
from mert_fairseq.jobs.locks import FileLock
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.integrity.reasons import PASSING

JOURNAL_FILE = "ingest.jsonl"
VERSION = 2  # of the lines' meaning; another version starts afresh


def header_of(settings: Settings) -> dict[str, Any]:
    """All that a file's verdict and conversion depend on beside the file; another header starts afresh."""
    return {
        "version": VERSION,
        "audio_dir": str(settings.audio_dir),
        "convert_to": str(settings.convert_to) if settings.convert_to else None,
        "sample_rate": settings.sample_rate,
        "file_format": settings.file_format if settings.convert_to else None,
        "limits": vars(settings.limits),
        "libsndfile": soundfile.__libsndfile_version__,
        "soxr": soxr.__version__,
    }


class Journal:
    """An append-only file of tracks; holds a lock, so that two runs cannot share an output folder."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open, or begin, the journal at ``path``.

        Raises:
            BlockingIOError: if another run holds it.
        """
        self.path = path
        self.header = json.dumps(header_of(settings), sort_keys=True)
        self.convert_to = settings.convert_to
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path, "Wait for it to end, or give another output folder.")
        self._lock.acquire()
        self._file: IO[str] = path.open("a+", encoding="ascii", newline="\n")
        self.known = self._read()

    def _read(self) -> dict[str, Track]:
        """Tracks by source path; a torn last line is dropped, and everything if the settings were others."""
        self._file.seek(0)
        lines = self._file.read().split("\n")
        known: dict[str, Track] = {}
        if lines[0] != self.header:
            self._file.truncate(0)
            self._write(self.header)
            return known
        for line in lines[1:]:
            try:
                track = Track.from_json(line)
            except (ValueError, KeyError, TypeError):
                continue
            known[track.source.path] = track
        if lines[-1]:  # a torn line: the next one has to begin on its own
            self._file.write("\n")
        return known

    def finished(self, planned: Iterable[Track]) -> dict[str, Track]:
        """The recorded outcomes, by source path, of sources that are unchanged.

        Rejects whose reason may have passed since are not among them. A converted file must still be there, unless an
        earlier source holds the same audio: duplicates are deleted.
        """
        known = [found for track in planned if (found := self._recorded(track))]
        whole = {track.source.path: track for track in known if track.reason or self._is_converted(track)}
        first: dict[str, str] = {}
        for track in sorted(whole.values(), key=lambda track: track.source.path):
            first.setdefault(track.digest, track.source.path)
        duplicates = {
            track.source.path: track
            for track in known
            if not track.reason and first.get(track.digest, track.source.path) < track.source.path
        }
        return whole | duplicates

    def _recorded(self, track: Track) -> Track | None:
        known = self.known.get(track.source.path)
        if known is None or (known.source, known.destination) != (track.source, track.destination):
            return None
        if known.reason in PASSING:
            return None
        return known

    def _is_converted(self, track: Track) -> bool:
        if self.convert_to is None or track.destination is None:
            return True
        converted = self.convert_to / track.destination
        return converted.is_file() and converted.stat().st_size == track.converted_bytes

    def add(self, track: Track) -> None:
        """Record an outcome; it survives a kill from here on."""
        self._write(track.to_json())

    def rewrite(self, tracks: Iterable[Track]) -> None:
        """End the run: only the tracks of this run, sorted, so that the same input leaves the same bytes."""
        lines = [self.header, *(track.to_json() for track in sorted(tracks, key=lambda track: track.source.path))]
        with replacing(self.path) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="ascii")

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()
