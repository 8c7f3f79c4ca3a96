"""Public names of the genre classifiers on FMA's feature table (docs/genre.md). The code is in genre/features."""

from mert_fairseq.genre.features.dataset import FMADataset
from mert_fairseq.genre.features.fma_tracks import LabelledTracks, labelled_tracks
from mert_fairseq.genre.features.preprocessor import Preprocessor, register_transform
from mert_fairseq.genre.features.tokens import CollateFunctionWrapper, TokenLayout
from mert_fairseq.genre.vocabulary import GenreVocabulary, check_disjoint

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
