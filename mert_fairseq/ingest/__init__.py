"""From any folder of music to a checked training set: scanning, inspecting, converting, splitting, and the data check.

No torch and no fairseq here; `build_manifests` is what preprocess/make_manifest.py calls.
"""

from mert_fairseq.ingest.build import Split, build_manifests
from mert_fairseq.ingest.examine_all import Progress
from mert_fairseq.ingest.meter import Limits
from mert_fairseq.ingest.pool import WorkerError
from mert_fairseq.ingest.reasons import REMEDIES, Reason
from mert_fairseq.ingest.rejects import NoTracksError
from mert_fairseq.ingest.summary import Summary
from mert_fairseq.ingest.track import Settings

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
