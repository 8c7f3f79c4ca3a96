"""The manifest of a split from its tracks, and tracks.tsv: where each of them comes from, and how loud it was."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.files import escape, replacing
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.examine_track import Settings, Track

TRACKS_FILE = "tracks.tsv"
COLUMNS = ("split", "path", "source", "source_rate", "channels", "seconds", "samples", "peak", "gain", "digest")


def manifest_path(track: Track) -> str:
    """The track's path in a manifest: the converted file's, or its own."""
    return track.destination or track.source.path


def write_tracks(path: Path, tracks_of_split: dict[str, list[Track]]) -> None:
    """Write the table: path as in the manifest, source as in the audio folder, seconds of the source.

    ``peak`` is that of the mono signal at the training rate before it was multiplied with ``gain``; ``digest`` is equal
    for equal audio.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for split, tracks in tracks_of_split.items():
            file.writelines("\t".join(_cells(split, track)) + "\n" for track in _sorted(tracks))


def _sorted(tracks: Iterable[Track]) -> list[Track]:
    return sorted(tracks, key=manifest_path)


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


def write_split(tsv: Path, tracks: list[Track], settings: Settings, made_by: str, division: dict[str, Any]) -> None:
    """Write a manifest and its sidecar, or take away those of an earlier run if the split is empty now."""
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
