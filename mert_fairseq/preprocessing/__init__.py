"""From any folder of music to a checked training set: scanning, inspecting, converting, splitting, and the data check.

No torch and no fairseq here; `build_manifests` is what preprocess/make_manifest.py calls.
"""

from mert_fairseq.jobs.worker_pool import WorkerError
from mert_fairseq.preprocessing.audio_stats import Limits
from mert_fairseq.preprocessing.examine_files import Progress
from mert_fairseq.preprocessing.examine_track import Settings
from mert_fairseq.preprocessing.folder_pipeline import Split, build_manifests
from mert_fairseq.preprocessing.integrity.reasons import REMEDIES, Reason
from mert_fairseq.preprocessing.rejects import NoTracksError
from mert_fairseq.preprocessing.summary import Summary

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
