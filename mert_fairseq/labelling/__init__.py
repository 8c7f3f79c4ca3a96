"""Teachers run over manifests: label files, dictionaries and sidecars, made by jobs that survive."""

from mert_fairseq.labelling.fitting import fit_teacher
from mert_fairseq.labelling.job import LabelJob, LabelJobError
from mert_fairseq.labelling.merge import merge_shards
from mert_fairseq.labelling.run import run_shard
from mert_fairseq.labelling.shards import Shard
from mert_fairseq.labelling.source import TeacherSource

__all__ = ["LabelJob", "LabelJobError", "Shard", "TeacherSource", "fit_teacher", "merge_shards", "run_shard"]
