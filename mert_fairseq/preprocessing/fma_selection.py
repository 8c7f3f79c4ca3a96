"""Select the files of an FMA folder: the tracks of a subset, without broken ones and those under the wrong licence."""

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from mert_fairseq.fma.constants import SPLITS, audio_path, known_bad, track_id_of
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.licences import parse_licence
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.pipeline_steps import tracks_to_examine
from mert_fairseq.preprocessing.reject_reasons import Reason, Reject
from mert_fairseq.preprocessing.scan import Scan


@dataclass(frozen=True)
class Choice:
    """The tracks of FMA to use.

    Attributes:
        subset: small, medium or large; each contains the smaller ones.
        splits: official splits to use.
        archive: the audio archive, small, medium, large or full; it determines which files are known to be bad.
        require: what each licence must allow, of :data:`mert_fairseq.fma.licences.CONDITIONS`.
        keep_known_bad: examine the files that are known to be bad, too.
        keep_duplicates: keep tracks with the same audio as another track.
    """

    subset: str = "small"
    splits: tuple[str, ...] = SPLITS
    archive: str = "small"
    require: tuple[str, ...] = ()
    keep_known_bad: bool = False
    keep_duplicates: bool = False


@dataclass(frozen=True)
class Plan:
    """What is known from the tables and the file names only.

    Attributes:
        tracks: tracks to examine, sorted by path.
        ids: track id of each source path.
        rejects: files and tracks without examination, with reasons.
        other_tracks: files of tracks outside the choice.
    """

    tracks: list[Track]
    ids: dict[str, int]
    rejects: list[Reject]
    other_tracks: int

    def counts(self) -> dict[str, int]:
        """The number of tracks to examine, and of rejects per reason."""
        reasons = Counter(str(reject.reason) for reject in self.rejects)
        return {"to examine": len(self.tracks), **dict(sorted(reasons.items())), "of other subsets": self.other_tracks}


def plan_tracks(fma: FMA, scan: Scan, settings: Settings, choice: Choice) -> Plan:
    """Match the files of the audio folder with the tables.

    Args:
        fma: the tables.
        scan: of the audio folder.
        settings: of the conversion.
        choice: which tracks.

    Raises:
        ValueError: if subset, split, archive or a licence condition is unknown.
    """
    rejected = _rejected_by_tables(fma, choice)
    chosen = _chosen(fma, choice)
    rejects = list(scan.rejects)
    files: dict[int, str] = {}
    other_tracks = 0
    for source in sorted(scan.sources, key=lambda source: (_is_misplaced(source.path), source.path)):
        track_id = _track_of(source.path)
        if track_id is None or track_id not in fma.tracks.index:
            rejects.append(Reject(source.path, Reason.NOT_IN_TABLES, "no track of tracks.csv has this name"))
        elif track_id not in chosen:
            other_tracks += 1
        elif track_id in rejected:
            rejects.append(Reject(source.path, *rejected[track_id]))
        elif track_id in files:
            detail = f"a second file of track {track_id}; {files[track_id]} is used"
            rejects.append(Reject(source.path, Reason.DUPLICATE, detail))
        else:
            files[track_id] = source.path
    seen = {_track_of(path) for path in (*files.values(), *(reject.path for reject in rejects))}
    for track_id in sorted(chosen - seen):
        reason, detail = rejected.get(track_id, (Reason.MISSING, "in the tables, not in the folder"))
        rejects.append(Reject(str(audio_path(track_id)), reason, detail))
    ids = {path: track_id for track_id, path in files.items()}
    tracks = tracks_to_examine((source for source in scan.sources if source.path in ids), settings)
    return Plan(tracks, ids, rejects, other_tracks)


def _chosen(fma: FMA, choice: Choice) -> set[int]:
    return {int(track_id) for split in choice.splits for track_id in fma.select(choice.subset, split).index}


def _rejected_by_tables(fma: FMA, choice: Choice) -> dict[int, tuple[Reason, str]]:
    """Tracks that are rejected without a look at their file, with (reason, detail)."""
    tracks = fma.select(choice.subset)
    reasons = {}
    for track_id, text in tracks["track", "license"].items() if choice.require else ():
        if refusal := parse_licence(text).reject_reason(choice.require):
            reasons[int(track_id)] = Reason.LICENCE, refusal
    bad = known_bad(choice.archive)
    if not choice.keep_known_bad:
        reasons |= {track_id: (Reason.KNOWN_BAD, why) for track_id, why in bad.items()}
    return reasons


def _track_of(path: str) -> int | None:
    try:
        return track_id_of(path)
    except ValueError:
        return None


def _is_misplaced(path: str) -> bool:
    """Whether a file is not at its place in the archive; of several files of a track, the one at its place is used."""
    track_id = _track_of(path)
    return track_id is None or not track_id < 1_000_000 or PurePosixPath(path) != PurePosixPath(audio_path(track_id))
