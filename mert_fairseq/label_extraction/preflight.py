"""Checks before a label job starts and before it merges, so that problems show up before hours of work.

They cover the manifest, parts of earlier runs, labels and dictionaries that exist already, and packed files that the
new labels would replace.
"""

import glob
import json
from pathlib import Path
from typing import Any

from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError
from mert_fairseq.label_extraction.part_store import parts_in
from mert_fairseq.labels.label_folder import dictionary_users
from mert_fairseq.labels.packed import packed_files
from mert_fairseq.labels.packed_index import files_to_replace, packed_prefixes
from mert_fairseq.labels.provenance import Provenance, teacher_fields


def check_before_start(job: LabelJob, parts: int) -> None:
    """Raise if the labels of a job could not be made or merged, or exist already in another form.

    Args:
        job: to start or continue.
        parts: number of parts that the split is divided into.

    Raises:
        LabelJobError: if the manifest is empty or has another sample rate than the teacher; the teacher has several
            codebooks where one is expected; the split was started with another number of parts; the labels exist
            in another form; or labels of another teacher use their dictionaries.
        LabelError: if a packed file to be replaced holds other labels too.
    """
    if not len(job.manifest):
        raise LabelJobError(f"{job.manifest_path}: lists no track. Make the manifest again.")
    if job.manifest.sample_rate not in (None, job.teacher.sample_rate):
        raise LabelJobError(
            f"{job.manifest_path}: found {job.manifest.sample_rate} Hz, expected the teacher's "
            f"{job.teacher.sample_rate} Hz. Convert the audio (preprocess/make_manifest.py --convert-to DIR "
            f"--sample-rate {job.teacher.sample_rate}), or fit the teacher at the manifest's rate."
        )
    check_existing_form(job)
    check_dictionary_users(job)
    files_to_replace(job.label_dir, job.split, [*job.columns, *stale_columns(job)], job.packed_prefix)
    started = {part.count for part in parts_in(job.parts_dir)} if job.parts_dir.is_dir() else set()
    if others := started - {parts}:
        count = min(others)
        raise LabelJobError(
            f"{job.parts_dir}: was started in {count} parts, expected {parts}. Continue in {count} (--shard i/{count}, "
            f"or --shards {count} with --launcher), or delete {job.parts_dir} to start again."
        )


def finished_sidecar(job: LabelJob) -> dict[str, Any] | None:
    """Return the sidecar if complete labels of exactly this job exist, else None."""
    sidecar = _matching_sidecar(job)
    forms = ("text", "packed") if job.file_format == "both" else (job.file_format,)
    return sidecar if sidecar and all(_labels_exist(job, form) for form in forms) else None


def check_existing_form(job: LabelJob) -> None:
    """Raise if the same labels exist already, in a form that was not asked for.

    Raises:
        LabelJobError: with the command that converts them.
    """
    if not _matching_sidecar(job):
        return
    for found, wanted in (("text", "packed"), ("packed", "text")):
        if _labels_exist(job, found) and not _labels_exist(job, wanted):
            raise LabelJobError(
                f"{job.sidecar_path}: found these labels as {found}, expected {job.file_format}. They need not be made "
                f"again. Convert them: preprocess/convert_labels.py {job.label_dir} --to {wanted} --splits {job.split} "
                f"--labels {' '.join(job.columns)} --label-rate {job.teacher.label_rate_hz:g}."
            )


def check_dictionary_users(job: LabelJob) -> None:
    """Raise if labels of another teacher use a dictionary that this job would write.

    Raises:
        LabelJobError: naming these labels and the remedies.
    """
    teacher = _as_json(job.teacher_identity)
    for column in job.columns:
        dictionary = job.dictionary_path(column)
        users = dictionary_users(job.label_dir, job.split, column, teacher) if dictionary.is_file() else {}
        if users:
            path = next(iter(users.values()))
            raise LabelJobError(
                f"{dictionary}: is also the dictionary of {path}, and nothing shows that {job.source.path} made these "
                f"labels. Label all splits with one teacher; or give these labels another name (--name) or folder "
                f"(--label-dir); or, to replace the labels of {', '.join(users)} as well, delete "
                f"{' '.join(f'dict.{name}.txt' for name in job.columns)} first."
            )


def replaced_teacher(job: LabelJob) -> str | None:
    """The teacher of finished labels that this job replaces with their dictionaries; None if it is the same or none."""
    known = Provenance.from_record(job.sidecar_path, job.split, _load(job.sidecar_path).get("job"))
    if known is None or known.teacher == teacher_fields(_as_json(job.teacher_identity)):
        return None
    return known.teacher_name


def stale_columns(job: LabelJob) -> list[str]:
    """Labels that an earlier teacher of this name made and the new one does not make."""
    return [column for column in _load(job.sidecar_path).get("columns", []) if column not in job.columns]


def counts_another_split(job: LabelJob) -> bool:
    """Whether the dictionaries already hold the code counts of another split by the same teacher."""
    teacher = teacher_fields(_as_json(job.teacher_identity))
    for path in job.label_dir.glob(f"*.{glob.escape(job.name)}.json"):
        sidecar = _load(path)
        known = Provenance.from_record(path, job.split, sidecar.get("job"))
        same = known is not None and known.teacher == teacher and sidecar.get("columns") == list(job.columns)
        if same and sidecar.get("dictionaries") and path != job.sidecar_path:
            return True
    return False


def _load(path: Path) -> dict[str, Any]:
    """Read a sidecar; empty if it is missing or invalid."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return sidecar if isinstance(sidecar, dict) else {}


def _matching_sidecar(job: LabelJob) -> dict[str, Any]:
    """Read the sidecar; empty if there is none or it describes other labels."""
    sidecar = _load(job.sidecar_path)
    return sidecar if sidecar and sidecar.get("job") == _as_json(job.identity) else {}


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _labels_exist(job: LabelJob, form: str) -> bool:
    """Whether all labels exist in a form ("text" or "packed"), with their dictionaries."""
    if not all(job.dictionary_path(column).is_file() for column in job.columns):
        return False
    if form == "text":
        return all(job.text_path(column).is_file() for column in job.columns)
    prefixes = packed_prefixes(job.label_dir, job.split)
    if not all(column in prefixes for column in job.columns):
        return False
    return all(path.is_file() for column in job.columns for path in packed_files(prefixes[column]))
