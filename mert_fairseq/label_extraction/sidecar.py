"""The sidecar ``{split}.{name}.json`` of finished labels: what made them, how they use their codes, which they are."""

import glob
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mert_fairseq.label_extraction.code_statistics import CodeStatistics
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError
from mert_fairseq.labels.dictionary_users import other_users
from mert_fairseq.labels.packed import packed_files
from mert_fairseq.labels.packed_index import packed_homes
from mert_fairseq.labels.provenance import Provenance, teacher_of
from mert_fairseq.labels.sidecars import write_record

TOOLS = ("numpy", "torch", "scikit-learn", "encodec")


def read_sidecar(job: LabelJob) -> dict[str, Any] | None:
    """The sidecar of labels that are there, whole and just what the job would make, or None."""
    sidecar = _of_this_job(job)
    forms = ("text", "packed") if job.file_format == "both" else (job.file_format,)
    return sidecar if sidecar and all(_are_there(job, form) for form in forms) else None


def refuse_other_form(job: LabelJob) -> None:
    """Refuse to make labels again that are there in the form not asked for.

    Raises:
        LabelJobError: if there are such; it gives the command that converts them.
    """
    if not _of_this_job(job):
        return
    for found, wanted in (("text", "packed"), ("packed", "text")):
        if _are_there(job, found) and not _are_there(job, wanted):
            raise LabelJobError(
                f"{job.sidecar_path}: found these labels as {found}, expected {job.file_format}. They need not be made "
                f"again: preprocess/convert_labels.py {job.label_dir} --to {wanted} --splits {job.split} --labels "
                f"{' '.join(job.columns)} --label-rate {job.teacher.label_rate_hz:g}."
            )


def stale_columns(job: LabelJob) -> list[str]:
    """Labels that the last teacher of this name made, and this one does not."""
    return [column for column in _load(job.sidecar_path).get("columns", []) if column not in job.columns]


def counted_elsewhere(job: LabelJob) -> bool:
    """Whether the dictionaries show how often another split has the codes of this teacher."""
    teacher = teacher_of(_as_json(job.teacher_identity))
    for path in job.label_dir.glob(f"*.{glob.escape(job.name)}.json"):
        sidecar = _load(path)
        known = Provenance.of(path, job.split, sidecar.get("job"))
        same = known is not None and known.teacher == teacher and sidecar.get("columns") == list(job.columns)
        if same and sidecar.get("dictionaries") and path != job.sidecar_path:
            return True
    return False


def refuse_foreign_dictionary(job: LabelJob) -> None:
    """Refuse to count a dictionary anew that labels of another teacher use.

    Raises:
        LabelJobError: naming these labels and the remedies.
    """
    teacher = _as_json(job.teacher_identity)
    for column in job.columns:
        dictionary = job.dictionary_path(column)
        users = other_users(job.label_dir, job.split, column, teacher) if dictionary.is_file() else {}
        if users:
            path = next(iter(users.values()))
            raise LabelJobError(
                f"{dictionary}: is the dictionary of {path} too, which {job.source.path} is not known to have made. "
                f"Label all splits with one teacher; or give these labels another name (--name) or folder "
                f"(--label-dir); or, to replace the labels of {', '.join(users)} as well, delete "
                f"{' '.join(f'dict.{name}.txt' for name in job.columns)} first."
            )


def write_sidecar(job: LabelJob, statistics: CodeStatistics, dictionaries: bool) -> dict[str, Any]:
    """Write and give it.

    Args:
        job: what was made.
        statistics: of its codes.
        dictionaries: whether the dictionaries show this split's counts.
    """
    from mert_fairseq import __version__

    sidecar = {
        "job": job.identity,
        "format": job.file_format,
        "columns": list(job.columns),
        "dictionaries": dictionaries,
        "frames": statistics.frames,
        "hours": round(int(job.manifest.samples.sum()) / job.teacher.sample_rate / 3600, 4),
        "codebooks": statistics.summary(job.teacher.label_rate_hz),
        "tools": {"mert_fairseq": __version__, **{name: version(name) for name in TOOLS}},
    }
    write_record(job.sidecar_path, sidecar)
    return sidecar


def _load(path: Path) -> dict[str, Any]:
    """A sidecar, empty if it is missing or none."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return sidecar if isinstance(sidecar, dict) else {}


def _of_this_job(job: LabelJob) -> dict[str, Any]:
    """The sidecar, empty if there is none or it tells of other labels."""
    sidecar = _load(job.sidecar_path)
    return sidecar if sidecar and sidecar.get("job") == _as_json(job.identity) else {}


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _are_there(job: LabelJob, form: str) -> bool:
    """Whether the labels are there in a form ("text" or "packed"), with their dictionaries."""
    if not all(job.dictionary_path(column).is_file() for column in job.columns):
        return False
    if form == "text":
        return all(job.text_path(column).is_file() for column in job.columns)
    homes = packed_homes(job.label_dir, job.split)
    if not all(column in homes for column in job.columns):
        return False
    return all(path.is_file() for column in job.columns for path in packed_files(homes[column]))
