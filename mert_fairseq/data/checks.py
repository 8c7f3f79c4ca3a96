"""Checks of a data folder before training: track lengths, sample rate, label counts, label origin and codes."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mert_fairseq.audio import AudioError, probe
from mert_fairseq.data.mert_dataset import ClassTable, unknown_code
from mert_fairseq.frames import lengths_agree, num_label_frames
from mert_fairseq.labels import JoinedLabels, LabelDictionary, LabelError
from mert_fairseq.labels.provenance import Provenance, provenance
from mert_fairseq.manifest import Manifest

logger = logging.getLogger(__name__)
# The wav2vec 2.0 conv stack makes no frame of a shorter clip: it sees 400 samples, a label is 320.
SHORTEST_LABELS = 2
PROBED_FILES = 8
PROBED_LABELS = 32


def evenly_spaced(count: int, of: int) -> list[int]:
    return sorted(set(np.linspace(0, of - 1, min(count, of)).round().astype(int).tolist())) if of else []


def usable_tracks(
    path: Path, manifest: Manifest, min_samples: int | None, max_samples: int | None, hop: int
) -> np.ndarray:
    """Indices of the tracks whose length is within the limits, (kept,) int64.

    Raises:
        ValueError: if the manifest is empty or no track is within the limits.
    """
    if not len(manifest):
        raise ValueError(
            f"{path}: found no track, expected at least one. Make the manifest from a folder that contains audio."
        )
    samples = manifest.samples
    least = max(min_samples or 0, SHORTEST_LABELS * hop)
    kept = np.flatnonzero((samples >= least) & (samples <= (max_samples or samples.max())))
    if not len(kept):
        raise ValueError(
            f"{path}: found {len(manifest)} tracks of {samples.min()} to {samples.max()} samples, expected at "
            f"least one between task.min_sample_size ({least}) and task.max_keep_size ({max_samples or 'no limit'}). "
            f"Correct these options, or use longer audio."
        )
    short, long = int((samples < least).sum()), len(manifest) - len(kept) - int((samples < least).sum())
    logger.info(f"{path}: {len(kept)} tracks; left out {short} below {least} samples and {long} above {max_samples}")
    return kept


def check_sample_rate(path: Path, manifest: Manifest, sample_rate: int) -> None:
    """Compare the sample rate of the sidecar and of some files with the training rate.

    Raises:
        ValueError: if one differs, or if none of the files can be read.
    """
    remedy = (
        f"Correct task.sample_rate, or convert (preprocess/make_manifest.py --convert-to DIR --sample-rate "
        f"{sample_rate})."
    )
    if manifest.sample_rate not in (None, sample_rate):
        raise ValueError(
            f"{path.with_suffix('.json')}: found {manifest.sample_rate} Hz, expected {sample_rate} Hz. {remedy}"
        )
    failures = []
    tracks = evenly_spaced(PROBED_FILES, len(manifest))
    for track in tracks:
        try:
            found = probe(manifest.audio_path(track)).sample_rate
        except AudioError as error:
            failures.append(error)
            continue
        if found != sample_rate:
            raise ValueError(f"{manifest.audio_path(track)}: found {found} Hz, expected {sample_rate} Hz. {remedy}")
    if failures and len(failures) == len(tracks):
        raise ValueError(f"{path}: none of the {len(tracks)} tracks tried can be read. The first: {failures[0]}")


def check_labels(
    path: Path, manifest: Manifest, labels: JoinedLabels, sample_rate: int, label_rate_hz: float, tracks: np.ndarray
) -> None:
    """Compare the number of labels of each track with its number of samples.

    Args:
        path: of the manifest, for messages.
        manifest: of the split.
        labels: of the split.
        sample_rate: in Hz.
        label_rate_hz: labels per second.
        tracks: (kept,) tracks to check.

    Raises:
        LabelError: if the number of tracks differs, or a track has too many or too few labels according to
            ``frames.lengths_agree``.
    """
    for part in labels.parts:
        if len(part) != len(manifest):
            raise LabelError(
                f"{part.source}: found labels of {len(part)} tracks, expected {len(manifest)}, one for each in {path}. "
                f"Make the labels again from this manifest."
            )
        written = getattr(part, "label_rate_hz", None)
        if written not in (None, label_rate_hz):
            raise LabelError(
                f"{part.source}: was made at {written:g} labels per second, expected {label_rate_hz:g}. "
                f"Correct task.label_rate."
            )
        samples = manifest.samples[tracks]
        expected = num_label_frames(samples, sample_rate, label_rate_hz)
        found_codes = part.frames[tracks]
        off = ~lengths_agree(found_codes, expected, label_rate_hz)
        if off.any():
            worst = int(np.argmax(off))
            track, found = int(tracks[worst]), int(found_codes[worst])
            raise LabelError(
                f"{part.where(track)}: {manifest.paths[track]} has {found} codes, but its {samples[worst]} samples at "
                f"{label_rate_hz:g} labels per second need {expected[worst]}; {int(off.sum())} of {len(tracks)} tracks "
                f"disagree. Make the labels again from this manifest, or correct task.label_rate (these labels have "
                f"{found * sample_rate / samples[worst]:.4g} per second)."
            )


def check_provenance(
    path: Path, manifest: Manifest, labels: JoinedLabels, label_dir: Path, known: dict[str, Provenance]
) -> None:
    """Compare the manifest and the teacher of the labels with their records, where records exist.

    Args:
        path: of the manifest, whose stem is the split.
        manifest: of the split.
        labels: of the split.
        label_dir: folder of the labels and their sidecars.
        known: the origin of each label of the splits checked before; this split is added.

    Raises:
        LabelError: if the manifest has changed since, or a different teacher labelled another split.
    """
    for part in labels.parts:
        for column, found in provenance(part, label_dir, path.stem).items():
            fault = found.manifest_fault(path, manifest.tracks_sha256)
            fault = fault or found.teacher_fault(column, known.setdefault(column, found))
            if fault:
                raise fault.error()


def check_codes(labels: JoinedLabels, dictionaries: Sequence[LabelDictionary], tracks: np.ndarray) -> None:
    """Compare codes with their dictionaries: all codes if the label file states its largest, else those of some tracks.

    Raises:
        LabelError: if a code has no class.
    """
    if labels.max_codes is not None:
        for column, (code, dictionary) in enumerate(zip(labels.max_codes, dictionaries, strict=True)):
            if code >= len(dictionary.lookup()):
                raise unknown_code(labels.where(0, column), labels.columns[column], code, dictionary)
        return
    table = ClassTable(dictionaries)
    for track in tracks[evenly_spaced(PROBED_LABELS, len(tracks))].tolist():
        table.classes(labels.codes(track), labels, track)
