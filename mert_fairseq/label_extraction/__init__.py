"""Teachers run over manifests: label files, dictionaries and sidecars, made by jobs that survive."""

from mert_fairseq.label_extraction.fit import fit_teacher
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError
from mert_fairseq.label_extraction.label_part import run_shard
from mert_fairseq.label_extraction.merge import merge_shards
from mert_fairseq.label_extraction.parts import Shard
from mert_fairseq.label_extraction.teacher_source import TeacherSource

__all__ = ["LabelJob", "LabelJobError", "Shard", "TeacherSource", "fit_teacher", "merge_shards", "run_shard"]
