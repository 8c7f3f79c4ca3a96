"""A process that labels a corpus, for tests that kill it or take its room: label_driver.py FOLDER LABEL_DIR FORMAT."""

import resource
import sys
from pathlib import Path

from mert_fairseq.labelling import LabelJob, LabelJobError, TeacherSource, merge_shards, run_shard


def main() -> int:
    """Say "ready" once imports are done, label, say "done"; an error goes to standard error."""
    folder, label_dir, file_format = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if len(sys.argv) > 4:  # no file may grow beyond so many bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
    source = TeacherSource(str(folder / "teacher0.npz"))
    job = LabelJob(folder / "train.tsv", label_dir, "rvq", source, file_format)
    job.identity  # noqa: B018 - reads the manifest and the teacher
    print("ready", flush=True)
    try:
        run_shard(job, workers=2)
        print("labelled", flush=True)
        merge_shards(job)
    except LabelJobError as error:
        print(error, file=sys.stderr)
        return 1
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
