"""The journal of a run: one line per finished file, from which an interrupted run resumes."""

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
from mert_fairseq.preprocessing.reject_reasons import RETRYABLE

JOURNAL_FILE = "ingest.jsonl"  # an old name, kept so that earlier runs resume
VERSION = 2  # meaning of the lines; a journal with another version is discarded


def journal_header(settings: Settings) -> dict[str, Any]:
    """All that results depend on, apart from the files; a journal with another header is discarded."""
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
    """An append-only file of tracks. It is locked, so that two runs cannot share an output folder."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Open the journal at ``path``, or start a new one.

        Raises:
            BlockingIOError: if another run has locked it.
        """
        self.path = path
        self.header = json.dumps(journal_header(settings), sort_keys=True)
        self.convert_to = settings.convert_to
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path, "Wait for it to end, or give another output folder.")
        self._lock.acquire()
        self._file: IO[str] = path.open("a+", encoding="ascii", newline="\n")
        self.known = self._read()

    def _read(self) -> dict[str, Track]:
        """Tracks by source path. An incomplete last line is dropped; with other settings, the whole journal."""
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
        if lines[-1]:  # an incomplete line: the next one must start on a new line
            self._file.write("\n")
        return known

    def finished(self, planned: Iterable[Track]) -> dict[str, Track]:
        """The recorded results of unchanged sources, by source path.

        Rejects with a reason in RETRYABLE are left out. A converted file must still exist, unless a source with a lower
        path has the same audio: converted duplicates are deleted.
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
        if known.reason in RETRYABLE:
            return None
        return known

    def _is_converted(self, track: Track) -> bool:
        if self.convert_to is None or track.destination is None:
            return True
        converted = self.convert_to / track.destination
        return converted.is_file() and converted.stat().st_size == track.converted_bytes

    def add(self, track: Track) -> None:
        """Record a result; from then on it survives a kill."""
        self._write(track.to_json())

    def rewrite(self, tracks: Iterable[Track]) -> None:
        """Keep only the tracks of this run, sorted, so that the same input produces the same bytes."""
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
