"""Checks of frame labels: number of tracks, lengths, codes in their dictionaries, the same names in each split."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mert_fairseq.frames import lengths_agree, num_label_frames
from mert_fairseq.labels import FrameLabels, LabelDictionary, LabelError
from mert_fairseq.labels.label_folder import expand_family
from mert_fairseq.labels.provenance import LABEL_AGAIN
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks.findings import Options, Report, drawn_tracks, first_few, without_path
from mert_fairseq.preprocessing.checks.label_files import Dictionaries, LabelFile, ProvenanceCheck, find_label_files

USUAL_LABEL_RATE_HZ = 75.0
ENOUGH_CODES = 100  # per entry of a dictionary, before unused entries are reported


@dataclass(frozen=True)
class Clock:
    """The rates that determine lengths, in Hz; ``label_rate_hz`` None means as a file or sidecar states."""

    sample_rate: int
    label_rate_hz: float | None


def check_labels(
    folder: Path, manifests: dict[str, Manifest], sample_rate: int, options: Options, report: Report
) -> None:
    """Check every label of every split against the manifests and the dictionaries."""
    label_dir = options.label_dir or folder
    dictionaries = Dictionaries(label_dir, report)
    if options.labels is not None:
        options = replace(options, labels=_requested_labels(label_dir, options.labels, report))
    origins = ProvenanceCheck(label_dir, report)
    names_of_split: dict[str, set[str]] = {}
    doubtful: set[str] = set()  # splits with a broken label file, whose label names are unknown
    for split, manifest in manifests.items():
        files, others = find_label_files(label_dir, split, manifests)
        if others:
            report.record(f"{split}: no frame labels", first_few([path.name for path in others]))
        names_of_split[split] = set()
        for file in files:
            checker = _FileCheck(split, manifest, file, Clock(sample_rate, options.label_rate_hz), options, report)
            names = checker.run(dictionaries, origins)
            if names is None:
                doubtful.add(split)
            else:
                names_of_split[split] |= names
    _check_names(label_dir, names_of_split, doubtful, options, report)


def _check_names(
    label_dir: Path, names_of_split: dict[str, set[str]], doubtful: set[str], options: Options, report: Report
) -> None:
    every = set().union(*names_of_split.values()) if options.labels is None else set(options.labels)
    is_reported = any(finding.check == "labels_missing" for finding in report.findings)
    if not every and not is_reported and not doubtful and names_of_split:
        remedy = f"Label the splits (preprocess/extract_rvq_labels.py apply {label_dir}), or give --label-dir."
        report.warn("no_labels", label_dir, "no frame labels", remedy)
    for split, names in names_of_split.items():
        if split not in doubtful and (missing := sorted(every - names)):
            found = f"no labels {first_few(missing)}, expected them for each split"
            report.error("labels_missing", label_dir / f"{split}.{missing[0]}", found, LABEL_AGAIN, len(missing))


def _requested_labels(label_dir: Path, names: tuple[str, ...], report: Report) -> tuple[str, ...]:
    """The names with families replaced by their members; an unknown name is a finding."""
    requested: list[str] = []
    for name in names:
        try:
            requested += expand_family(name, label_dir)
        except LabelError as error:
            report.error("labels_missing", label_dir, str(error), "Correct --labels or --label-dir.")
    return tuple(requested)


@dataclass
class _FileCheck:
    """The check of one label file of one split."""

    split: str
    manifest: Manifest
    file: LabelFile
    clock: Clock
    options: Options
    report: Report

    def run(self, dictionaries: Dictionaries, origins: ProvenanceCheck) -> set[str] | None:
        """Check the file; returns the names of its labels, or None if it cannot be read."""
        try:
            labels = self.file.open()
        except (LabelError, OSError) as error:
            self.report.error("labels_unreadable", self.file.path, without_path(error, self.file.path), LABEL_AGAIN)
            return None
        wanted = [
            place
            for place, name in enumerate(labels.columns)
            if self.options.labels is None or name in self.options.labels
        ]
        names = {labels.columns[place] for place in wanted}
        if not names or not self._has_all_tracks(labels) or self._has_track_labels(labels):
            return names
        self._check_lengths(labels, origins.check(self.split, self.manifest, labels))
        read = self._check_codes(labels, [(place, dictionaries.of(labels.columns[place])) for place in wanted])
        what = f"{self.split}: {self.file.form} labels {first_few(sorted(names), 8)}"
        self.report.record(what, f"{len(labels)} tracks, codes of {read}")
        return names

    def _has_all_tracks(self, labels: FrameLabels) -> bool:
        if len(labels) == len(self.manifest):
            return True
        found = f"labels of {len(labels)} tracks, expected {len(self.manifest)}, one for each line of {self.split}.tsv"
        self.report.error("label_tracks", self.file.path, found, LABEL_AGAIN)
        return False

    def _has_track_labels(self, labels: FrameLabels) -> bool:
        """Whether the labels are for whole tracks, such as genres, and not for frames: less than one per second.

        Labels that were requested by name, or that have a dictionary, must be frame labels; so few are then a fault.
        """
        if self.options.labels is not None or (self.file.path.parent / f"dict.{self.file.name}.txt").is_file():
            return False
        seconds = float(self.manifest.samples.sum()) / self.clock.sample_rate
        if self.file.form != "text" or labels.frames.sum() >= seconds or labels.frames.max(initial=0) > 32:
            return False
        self.report.record(
            f"{self.split}: track labels {self.file.name}", f"{len(labels)} tracks, number of lines only"
        )
        return True

    def _check_lengths(self, labels: FrameLabels, recorded_rate_hz: float | None) -> None:
        stated = getattr(labels, "label_rate_hz", None) or recorded_rate_hz
        rate_hz = self.clock.label_rate_hz or stated or USUAL_LABEL_RATE_HZ
        if stated not in (None, rate_hz):
            found = f"made at {stated:g} labels per second, expected {rate_hz:g}"
            self.report.error("label_rate", self.file.path, found, "Give the right --label-rate, or label again.")
        expected = num_label_frames(self.manifest.samples, self.clock.sample_rate, rate_hz)
        off = np.flatnonzero(~lengths_agree(labels.frames, expected, rate_hz))
        if not len(off):
            return
        track = int(off[0])
        samples, frames = int(self.manifest.samples[track]), int(labels.frames[track])
        found_rate_hz = frames * self.clock.sample_rate / max(1, samples)
        found = (
            f"{self.manifest.paths[track]} has {frames} codes, but its {samples} samples at {rate_hz:g} labels per "
            f"second need {expected[track]}; these come at {found_rate_hz:.4g} per second"
        )
        remedy = f"{LABEL_AGAIN} If they have another rate, give --label-rate and set task.label_rate."
        self.report.error("label_length", labels.where(track), found, remedy, len(off))

    def _check_codes(self, labels: FrameLabels, columns: list[tuple[int, LabelDictionary | None]]) -> str:
        """Check the codes of some tracks; returns the number of tracks read, as text."""
        tracks = drawn_tracks(len(labels), self.options)
        counts = {place: np.zeros(len(book.lookup()), dtype=np.int64) for place, book in columns if book}
        bad: dict[int, tuple[int, int, int]] = {}  # column: first bad track, its code, how many tracks
        unreadable: list[LabelError] = []
        for track in tracks.tolist():
            try:
                codes = labels.codes(track)
            except LabelError as error:
                unreadable.append(error)
                continue
            for place, book in columns:
                if book is not None:
                    _count_codes(codes[:, place], book, counts[place], bad, place, track)
        if unreadable:
            self.report.error("labels_unreadable", self.file.path, str(unreadable[0]), LABEL_AGAIN, len(unreadable))
        for place, book in columns:
            if book is not None:
                self._report_codes(labels, place, book, counts[place], bad.get(place))
        return f"{len(tracks)} read"

    def _report_codes(
        self,
        labels: FrameLabels,
        place: int,
        book: LabelDictionary,
        counts: np.ndarray,
        bad: tuple[int, int, int] | None,
    ) -> None:
        name = labels.columns[place]
        largest = labels.max_codes[place] if labels.max_codes is not None else -1
        if bad is None and largest >= len(book.lookup()):
            bad = 0, largest, 1
        if bad is not None:
            track, code, tracks = bad
            found = f"code {code} of {name} is not one of the {len(book.symbols)} in {book.path.name}"
            remedy = "Labels and dictionary come from different teachers: make both again, or correct --label-dir."
            self.report.error("code_range", labels.where(track, place), found, remedy, tracks)
        codes = int((book.lookup() >= 0).sum())
        used = int((counts > 0).sum())
        if counts.sum() >= ENOUGH_CODES * codes and used <= codes // 2:
            found = f"{used} of {codes} codes of {name} occur in {counts.sum()} frames"
            remedy = "The teacher collapsed, or was fitted on other music: fit it on these tracks, with fewer codes."
            self.report.warn("unused_codes", self.file.path, found, remedy)


def _count_codes(
    codes: np.ndarray,
    book: LabelDictionary,
    counts: np.ndarray,
    bad: dict[int, tuple[int, int, int]],
    place: int,
    track: int,
) -> None:
    """Add a track's codes, (frames,), to ``counts``, and note codes without a class in ``bad``."""
    lookup = book.lookup()
    inside = (codes >= 0) & (codes < len(lookup))
    known = inside.copy()
    known[inside] = lookup[codes[inside]] >= 0
    if not known.all():
        first, code, tracks = bad.get(place, (track, int(codes[~known][0]), 0))
        bad[place] = first, code, tracks + 1
    counts += np.bincount(codes[known].astype(np.int64), minlength=len(counts))
