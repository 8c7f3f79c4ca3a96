"""mert-probe check: finds what is missing, wrong or corrupt in a data set's folder, before a long run."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.audio import AudioError, count_samples, probe
from mert_fairseq.probing.probe_data import SHOWN, SPLITS, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.tasks.musdb18 import MUSDB18


class Finding(NamedTuple):
    """One thing that is wrong ("error") or worth knowing ("note")."""

    kind: str
    text: str


class Checked(NamedTuple):
    """The findings, and the data if it could be read."""

    findings: list[Finding]
    data: ProbeData | None

    @property
    def errors(self) -> int:
        """Number of findings that would stop a run or make its scores wrong."""
        return sum(finding.kind == "error" for finding in self.findings)


def check_task(task: ProbeTask, data: Path, work: Path | None = None, decode: bool = False) -> Checked:
    """Find everything that would stop a run or make its scores wrong.

    Args:
        task: the task to check.
        data: the data set's folder.
        work: a cache folder for slow computations; None caches nothing.
        decode: decode all audio; otherwise read headers only.
    """
    if not data.is_dir():
        return Checked([Finding("error", f"{data}: no such folder. {task.card.title}: {task.card.how}")], None)
    try:
        read = task.read(data, work)
    except (ValueError, KeyError, OSError) as error:
        return Checked([Finding("error", str(error.args[0] if isinstance(error, KeyError) else error))], None)
    findings = [Finding("note", f"left out: {name}, {reason}") for name, reason in read.left_out.items()]
    findings += _audio(task, read, decode)
    findings += _checksums(task, data)
    findings += _classes(read)
    if task.card.sizes and not task.is_published(read):
        found, expected = (" / ".join(f"{n:,}" for n in each) for each in (read.songs.values(), task.card.sizes))
        findings.append(
            Finding(
                "note", f"train / valid / test have {found}, the published split {expected}: not the published data."
            )
        )
    findings += [Finding("error", text) for text in task.check(data)]
    return Checked(findings, read)


def _audio(task: ProbeTask, data: ProbeData, decode: bool) -> list[Finding]:
    if isinstance(task, MUSDB18):
        files = [f"{path}/{source}.wav" for path in data.files() for source in data.names]
    else:
        files = data.files()
    missing = [path for path in files if not (data.folder / path).is_file()]
    corrupt, rates = [], Counter[int]()
    for path in files:
        if not (data.folder / path).is_file():
            continue
        try:
            info = probe(data.folder / path)
            rates[info.sample_rate] += 1
            if not info.samples or (decode and not count_samples(data.folder / path)):
                raise AudioError(f"{data.folder / path}: has no samples.")
        except AudioError as error:
            corrupt.append((path, str(error)))
    findings = []
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        findings.append(
            Finding("error", f"{len(missing)} of {len(files)} audio files are missing: {shown}. {task.card.how}")
        )
    for path, text in corrupt:
        known = [reason for name, reason in task.card.bad_files.items() if path.endswith(name)]
        findings.append(Finding("error", f"{text}{' Known: ' + known[0] + '.' if known else ''}"))
    if rates:
        counted = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
        findings.append(Finding("note", f"{sum(rates.values())} audio files: {counted}"))
    return findings


def _checksums(task: ProbeTask, data: Path) -> list[Finding]:
    findings = []
    for name, expected in task.card.checksums.items():
        if (data / name).is_file():
            with (data / name).open("rb") as file:
                found = hashlib.file_digest(file, "md5" if len(expected) == 32 else "sha1").hexdigest()
            if found != expected:
                text = f"{data / name}: found the checksum {found}, expected {expected}. Fetch the file again."
                findings.append(Finding("error", text))
    return findings


def _classes(data: ProbeData) -> list[Finding]:
    """Classes without training clips cannot be learnt."""
    if not all(isinstance(clip.target, str) for clip in data.clips["train"]):
        return []
    counts = Counter(clip.target for clip in data.clips["train"])
    tested = {clip.target for split in SPLITS[1:] for clip in data.clips[split]}
    findings = []
    if len(counts) < 2:
        findings.append(Finding("error", f"the training split has only the class {next(iter(counts))!r}."))
    if unseen := sorted(tested - counts.keys()):
        findings.append(Finding("error", f"no training clip has the class {', '.join(unseen)}, but test or valid do."))
    return findings
