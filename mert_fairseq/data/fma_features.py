"""FMA's feature table for genre classifiers: preprocessing, data set, batches; see docs/genre.md."""

from mert_fairseq.data.genre.collate import CollateFunctionWrapper
from mert_fairseq.data.genre.dataset import FMADataset
from mert_fairseq.data.genre.labels import LabelledTracks, labelled_tracks
from mert_fairseq.data.genre.preprocessor import Preprocessor
from mert_fairseq.data.genre.splits import check_disjoint
from mert_fairseq.data.genre.tokens import TokenLayout
from mert_fairseq.data.genre.transforms import register_transform
from mert_fairseq.data.genre.vocabulary import GenreVocabulary

__all__ = [
    "CollateFunctionWrapper",
    "FMADataset",
    "GenreVocabulary",
    "LabelledTracks",
    "Preprocessor",
    "TokenLayout",
    "check_disjoint",
    "labelled_tracks",
    "register_transform",
]
