"""What a run writes and prints: the manifest of each split, tracks.tsv, and the summary."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import escape, replacing
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.reject_reasons import Reject

TRACKS_FILE = "tracks.tsv"
COLUMNS = ("split", "path", "source", "source_rate", "channels", "seconds", "samples", "peak", "gain", "digest")


def manifest_path(track: Track) -> str:
    """The path of a track in a manifest: its converted file, or its source without conversion."""
    return track.destination or track.source.path


def write_outputs(
    out_dir: Path,
    tracks_of_split: dict[str, list[Track]],
    splits: Iterable[str],
    settings: Settings,
    made_by: str,
    division: dict[str, Any],
) -> None:
    """Write the manifest of each split, and tracks.tsv.

    Args:
        out_dir: gets the files.
        tracks_of_split: the accepted tracks.
        splits: all names that a run can write; manifests of splits without tracks are deleted.
        settings: of the examination.
        made_by: path of the script, for the sidecars.
        division: how the tracks were divided, for the sidecars.
    """
    for split in splits:
        _write_manifest(out_dir / f"{split}.tsv", tracks_of_split.get(split, []), settings, made_by, division)
    _write_tracks(out_dir / TRACKS_FILE, tracks_of_split)


def _write_manifest(tsv: Path, tracks: list[Track], settings: Settings, made_by: str, division: dict[str, Any]) -> None:
    if not tracks:
        tsv.unlink(missing_ok=True)
        tsv.with_suffix(".json").unlink(missing_ok=True)
        return
    scaled = [track.gain for track in tracks if track.gain < 1]
    Manifest(
        root=settings.convert_to or settings.audio_dir,
        paths=[manifest_path(track) for track in tracks],
        samples=np.array([track.samples for track in tracks], dtype=np.int64),
        sample_rate=settings.sample_rate,
        settings={
            "made_by": made_by,
            "converted_to": settings.file_format if settings.convert_to else None,
            "limits": vars(settings.limits),
            "split": division,
            "tracks_above_full_scale": sum(track.peak > 1 for track in tracks),
            "tracks_scaled_down": len(scaled),
            "smallest_gain": round(min(scaled, default=1.0), 6),
        },
    ).write(tsv)


def _write_tracks(path: Path, tracks_of_split: dict[str, list[Track]]) -> None:
    """Write one row per track.

    ``path`` is as in the manifest and ``source`` as in the audio folder; ``seconds`` is the length of the source.
    ``peak`` is measured on the mono signal at the training rate, before the multiplication by ``gain``. ``digest`` is
    equal for equal audio.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for split, tracks in tracks_of_split.items():
            file.writelines("\t".join(_cells(split, track)) + "\n" for track in sorted(tracks, key=manifest_path))


def _cells(split: str, track: Track) -> list[str]:
    return [
        split,
        escape(manifest_path(track)),
        escape(track.source.path),
        str(track.source_rate),
        str(track.channels),
        f"{track.seconds:.3f}",
        str(track.samples),
        f"{track.peak:.6f}",
        f"{track.gain:.6f}",
        track.digest,
    ]


@dataclass(frozen=True)
class Summary:
    """The result of a run.

    Attributes:
        tracks: number per split.
        hours: of audio at the training rate, per split.
        rejects: number per reason.
        other_files: files that are not audio, neither by name nor by content.
        scaled_down: tracks above full scale, which were scaled down as a whole.
        resumed: files that an earlier run had finished.
        elapsed_seconds: of this run.
    """

    tracks: dict[str, int]
    hours: dict[str, float]
    rejects: dict[str, int]
    other_files: int
    scaled_down: int
    resumed: int
    elapsed_seconds: float

    @classmethod
    def of(
        cls,
        tracks_of_split: dict[str, list[Track]],
        rejects: list[Reject],
        other_files: int,
        sample_rate: int,
        resumed: int,
        elapsed_seconds: float,
    ) -> "Summary":
        """Count tracks and rejects; ``sample_rate`` in Hz."""
        return cls(
            tracks={split: len(tracks) for split, tracks in tracks_of_split.items()},
            hours={
                split: round(sum(track.samples for track in tracks) / sample_rate / 3600, 3)
                for split, tracks in tracks_of_split.items()
            },
            rejects=dict(sorted(Counter(str(reject.reason) for reject in rejects).items())),
            other_files=other_files,
            scaled_down=sum(track.gain < 1 for tracks in tracks_of_split.values() for track in tracks),
            resumed=resumed,
            elapsed_seconds=round(elapsed_seconds, 1),
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {n} tracks ({self.hours[split]:.2f} h)" for split, n in self.tracks.items())
        rejects = ", ".join(f"{count} {reason}" for reason, count in self.rejects.items()) or "none"
        notes = [f"rejects: {rejects}"]
        if self.scaled_down:
            notes.append(f"{self.scaled_down} scaled down to full scale")
        if self.resumed:
            notes.append(f"{self.resumed} files reused from the earlier run")
        if self.other_files:
            notes.append(f"{self.other_files} other files ignored")
        return f"{splits}; {'; '.join(notes)}; {self.elapsed_seconds:.1f} s"
