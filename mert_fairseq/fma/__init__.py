"""FMA, the Free Music Archive data set: description, and access to its metadata. Needs pandas, but not torch.

Corpus: 106,574 tracks by 16,341 artists, dumped from freemusicarchive.org in 2017, in a tree of 163 genres with 16
    roots. Audio: MP3, mostly 44.1 kHz stereo, as 30 s clips (small: 8,000 of 8 balanced genres; medium: 25,000 of
    16; large: all) or untrimmed (full). Metadata: listening counts, tags, texts, 518 features per track, and
    Echonest's analysis of 13,129 tracks. Official training, validation and test splits, with no artist in two splits.
URL: https://github.com/mdeff/fma
Citation: M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson. FMA: A Dataset for Music Analysis. ISMIR 2017.
    arXiv:1612.01840 (BibTeX: :data:`mert_fairseq.fma.constants.CITATION`).
Licence: metadata CC BY 4.0. The audio of each track has the licence that its artist chose, mostly Creative Commons with
    NonCommercial (:mod:`mert_fairseq.fma.licences`). Nearly all of them require naming the artist.

    from mert_fairseq.fma import FMA
    fma = FMA("fma_metadata", "fma_small", archive="small")
    fma.select("small", "training")["track", "genre_top"].value_counts()
    fma.tree.title_path(109), fma.licence(2).code, fma.audio_path(2)
"""

from mert_fairseq.fma.constants import ARCHIVES, CITATION, SPLITS, SUBSETS, audio_path, known_bad, track_id_of
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.csv_rows import TableError
from mert_fairseq.fma.genre_tree import GenreTree
from mert_fairseq.fma.licences import Licence, parse_licence
from mert_fairseq.fma.tables import load_echonest, load_features, load_genres, load_tracks

__all__ = [
    "ARCHIVES",
    "CITATION",
    "FMA",
    "SPLITS",
    "SUBSETS",
    "GenreTree",
    "Licence",
    "TableError",
    "audio_path",
    "known_bad",
    "load_echonest",
    "load_features",
    "load_genres",
    "load_tracks",
    "parse_licence",
    "track_id_of",
]
