"""Frame labels, the codes of each track, as text, padded .npy or packed files, with their dictionaries."""

from mert_fairseq.labels.dictionary import SPECIAL_SYMBOLS, LabelDictionary, write_dictionary
from mert_fairseq.labels.label_folder import open_labels
from mert_fairseq.labels.packed import PackedLabels, PackedWriter
from mert_fairseq.labels.padded import PaddedLabels, write_padded
from mert_fairseq.labels.reader import FrameLabels, JoinedLabels, LabelError, MemoryLabels
from mert_fairseq.labels.text import TextLabels, TextWriter

__all__ = [
    "SPECIAL_SYMBOLS",
    "FrameLabels",
    "JoinedLabels",
    "LabelDictionary",
    "LabelError",
    "MemoryLabels",
    "PackedLabels",
    "PackedWriter",
    "PaddedLabels",
    "TextLabels",
    "TextWriter",
    "open_labels",
    "write_dictionary",
    "write_padded",
]
