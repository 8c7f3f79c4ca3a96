"""From a folder of music, or FMA, to a checked training set: scan, examine, convert, split, and the data check.

Uses neither torch nor fairseq. preprocess/make_manifest.py calls `build_manifests`.
"""

from mert_fairseq.jobs.worker_pool import WorkerError
from mert_fairseq.preprocessing.audio_stats import Limits
from mert_fairseq.preprocessing.examine_files import Progress
from mert_fairseq.preprocessing.examine_track import Settings
from mert_fairseq.preprocessing.folder_pipeline import Split, build_manifests
from mert_fairseq.preprocessing.outputs import Summary
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, NoTracksError, Reason

__all__ = [
    "REMEDIES",
    "Limits",
    "NoTracksError",
    "Progress",
    "Reason",
    "Settings",
    "Split",
    "Summary",
    "WorkerError",
    "build_manifests",
]
