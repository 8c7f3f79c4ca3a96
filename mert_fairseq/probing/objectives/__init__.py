"""What a probe learns and how it is scored: classes, keys, chords, tags, values or beats."""

from mert_fairseq.probing.objectives.base import Objective
from mert_fairseq.probing.objectives.beats import BeatObjective
from mert_fairseq.probing.objectives.chords import ChordObjective
from mert_fairseq.probing.objectives.classes import ClassObjective
from mert_fairseq.probing.objectives.keys import KeyObjective
from mert_fairseq.probing.objectives.tags import TagObjective
from mert_fairseq.probing.objectives.values import ValueObjective

__all__ = [
    "BeatObjective",
    "ChordObjective",
    "ClassObjective",
    "KeyObjective",
    "Objective",
    "TagObjective",
    "ValueObjective",
]
