"""What can be refused before any track is labelled, so that nobody learns of it after hours of work."""

from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError
from mert_fairseq.label_extraction.part_store import shards_in
from mert_fairseq.label_extraction.sidecar import refuse_foreign_dictionary, refuse_other_form, stale_columns
from mert_fairseq.labels.packed_index import giving_way


def refuse_early(job: LabelJob, shards: int) -> None:
    """Refuse a job whose labels could not be made or merged, or need not be made.

    Args:
        job: to begin or go on with.
        shards: parts that the split is cut into.

    Raises:
        LabelJobError: if the manifest is empty, or of another sample rate than the teacher; the teacher has several
            codebooks where one is expected; the split was begun in another number of shards; the labels are there
            in another form; or their dictionaries are those of another teacher's labels.
        LabelError: if other labels are packed together with those to be replaced.
    """
    if not len(job.manifest):
        raise LabelJobError(f"{job.manifest_path}: lists no track. Make the manifest again.")
    if job.manifest.sample_rate not in (None, job.teacher.sample_rate):
        raise LabelJobError(
            f"{job.manifest_path}: found {job.manifest.sample_rate} Hz, expected the teacher's "
            f"{job.teacher.sample_rate} Hz. Convert the audio (preprocess/make_manifest.py --convert-to DIR "
            f"--sample-rate {job.teacher.sample_rate}), or fit the teacher at the manifest's rate."
        )
    refuse_other_form(job)
    refuse_foreign_dictionary(job)
    giving_way(job.label_dir, job.split, [*job.columns, *stale_columns(job)], job.packed_prefix)
    begun = {shard.count for shard in shards_in(job.parts_dir)} if job.parts_dir.is_dir() else set()
    if others := begun - {shards}:
        cut = min(others)
        raise LabelJobError(
            f"{job.parts_dir}: was begun in {cut} shards, expected {shards}. Go on in {cut} (--shard i/{cut}, or "
            f"--shards {cut} with --launcher), or delete {job.parts_dir} to start afresh."
        )
