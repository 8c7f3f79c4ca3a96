"""The steps that folder_pipeline and fma_pipeline share, before and after the files are examined."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mert_fairseq.manifest import check_root
from mert_fairseq.preprocessing.converted_files import safe_destinations
from mert_fairseq.preprocessing.examine_track import Settings, Track
from mert_fairseq.preprocessing.reject_reasons import REJECTS_FILE, NoTracksError, Reason, Reject, write_rejects
from mert_fairseq.preprocessing.scan import Scan, Source, scan_folder


def check_settings(settings: Settings, workers: int) -> None:
    """Check options before hours of decoding.

    Raises:
        ValueError: naming the option.
    """
    for name, value in (("--workers", workers), ("--sample-rate", settings.sample_rate)):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected a positive number.")
    if not 0 <= settings.limits.max_clipped_share <= 1:
        raise ValueError(f"--max-clipped-share is {settings.limits.max_clipped_share:g}, expected a share from 0 to 1.")


def scan_sources(out_dir: Path, settings: Settings) -> tuple[Settings, Scan]:
    """Make the folders absolute and list the audio files, without those that the run itself writes.

    Raises:
        NotADirectoryError: if there is no folder of audio.
        ValueError: if the folder of converted files contains the sources, or if a manifest cannot hold its name.
    """
    settings = _resolve_folders(settings)
    outputs = [path for path in (out_dir.resolve(), settings.convert_to) if path and path != settings.audio_dir]
    return settings, scan_folder(settings.audio_dir, skip=outputs)


def _resolve_folders(settings: Settings) -> Settings:
    audio_dir = settings.audio_dir.resolve()
    check_root((settings.convert_to or audio_dir).resolve())
    if settings.convert_to is None:
        return replace(settings, audio_dir=audio_dir)
    convert_to = settings.convert_to.resolve()
    if convert_to == audio_dir or convert_to in audio_dir.parents:
        raise ValueError(
            f"--convert-to {convert_to} is, or contains, the folder of sources {audio_dir}, and converted files would "
            f"mix with them. Give another folder."
        )
    return replace(settings, audio_dir=audio_dir, convert_to=convert_to)


def tracks_to_examine(sources: Iterable[Source], settings: Settings) -> list[Track]:
    """A track without results for each source, with the name of its converted file."""
    sources = list(sources)
    if settings.convert_to is None:
        return [Track(source) for source in sources]
    destinations = safe_destinations((source.path for source in sources), f".{settings.file_format}")
    return [Track(source, destinations[source.path]) for source in sources]


def reject_duplicates(
    tracks: list[Track],
    order: Callable[[Track], Any] = lambda track: track.source.path,
    describe: Callable[[str], str] = lambda path: path,
) -> list[Track]:
    """Keep one of the tracks with equal audio; the others get the reason DUPLICATE.

    Args:
        tracks: examined; rejects stay as they are.
        order: sort key; the first track in this order is kept. By default the lowest path.
        describe: text for the kept track in the detail of a reject, from its path.

    Returns:
        All tracks in the order of ``tracks``.
    """
    kept: dict[str, str] = {}
    for track in sorted(tracks, key=order):
        if track.reason is None:
            kept.setdefault(track.digest, track.source.path)
    return [
        replace(track, reason=Reason.DUPLICATE, detail=f"the same audio as {describe(kept[track.digest])}")
        if track.reason is None and kept[track.digest] != track.source.path
        else track
        for track in tracks
    ]


def separate_rejects(
    tracks: list[Track], earlier: list[Reject], out_dir: Path, audio_dir: Path, expected: str = ""
) -> tuple[list[Track], list[Reject]]:
    """Write rejects.tsv.

    Args:
        tracks: examined.
        earlier: rejects of the scan and of the plan.
        out_dir: gets rejects.tsv.
        audio_dir: for the error message.
        expected: likewise, which files should be there.

    Returns:
        The accepted tracks, and all rejects.

    Raises:
        NoTracksError: if no track is accepted.
    """
    rejects = earlier + [Reject(track.source.path, track.reason, track.detail) for track in tracks if track.reason]
    write_rejects(out_dir / REJECTS_FILE, rejects)
    accepted = [track for track in tracks if track.reason is None]
    if not accepted:
        raise NoTracksError.of(audio_dir, rejects, REJECTS_FILE, expected)
    return accepted, rejects
