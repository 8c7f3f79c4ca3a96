"""tracks.tsv: where each track of the manifests comes from, and how loud it was."""

from collections.abc import Iterable
from pathlib import Path

from mert_fairseq.files import replacing
from mert_fairseq.ingest.names import escape
from mert_fairseq.ingest.track import Track

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
