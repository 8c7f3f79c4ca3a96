"""Label extraction: run teachers over manifests, in jobs that continue after a kill, and write label files."""

from mert_fairseq.label_extraction.fit import fit_teacher
from mert_fairseq.label_extraction.label_job import LabelJob, LabelJobError, TeacherSource
from mert_fairseq.label_extraction.merge import merge_parts
from mert_fairseq.label_extraction.part_journal import Part
from mert_fairseq.label_extraction.run_parts import run_part

__all__ = ["LabelJob", "LabelJobError", "Part", "TeacherSource", "fit_teacher", "merge_parts", "run_part"]
