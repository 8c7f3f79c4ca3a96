"""What can be refused before any track is labelled, so that nobody learns of it after hours of work."""

from mert_fairseq.labelling.job import LabelJob, LabelJobError


def refuse_early(job: LabelJob) -> None:
    """Refuse a job whose labels could not be made.

    Raises:
        LabelJobError: if the manifest is empty, or of another sample rate than the teacher; or the teacher has
            several codebooks where one is expected.
    """
    _ = job.columns
    if not len(job.manifest):
        raise LabelJobError(f"{job.manifest_path}: lists no track. Make the manifest again.")
    if job.manifest.sample_rate not in (None, job.teacher.sample_rate):
        raise LabelJobError(
            f"{job.manifest_path}: found {job.manifest.sample_rate} Hz, expected the teacher's "
            f"{job.teacher.sample_rate} Hz. Convert the audio (preprocess/make_manifest.py --convert-to DIR "
            f"--sample-rate {job.teacher.sample_rate}), or fit the teacher at the manifest's rate."
        )
