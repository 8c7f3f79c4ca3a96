"""A PyTorch data set of FMA tracks with their features and genres."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from fairseq.data import FairseqDataset

from mert_fairseq.data.sampling import ORDER, generator
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.genre.features.fma_tracks import (
    LabelledTracks,
    echonest_table,
    features_of,
    is_multi_label,
    labelled_tracks,
    rows_known,
)
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.features.tokens import CollateFunctionWrapper, TokenLayout
from mert_fairseq.genre.vocabulary import GenreVocabulary


class FMADataset(FairseqDataset):
    """Tracks as sequences of feature tokens, with their genres by title.

        fma = FMA("data/fma/fma_metadata")
        training = FMADataset.from_fma(fma, "medium", "training")
        test = FMADataset.from_fma(fma, "medium", "test", like=training)
        training[0]["tokens"].shape, training.genre_to_index("Rock"), training.index_to_genre(0)
        DataLoader(training, batch_size=64, shuffle=True, collate_fn=training.collater)

    Args:
        tracks: ids and genres.
        features: table of tracks by columns; must contain every track.
        vocabulary: must contain every genre.
        preprocessor: fitted on the training split of ``features``.
        multi_label: whether a track may have several genres.
        echonest: table of the tracks that Echonest analysed; None for no Echonest tokens.
        echonest_preprocessor: fitted on the training split of ``echonest``.
        seed: of the order of training tracks.
        training: shuffle the tracks in each epoch; else keep the order of the ids.

    Raises:
        ValueError: if a track has no or invalid features; names the track.
        KeyError: if a genre is unknown.
    """

    def __init__(
        self,
        tracks: LabelledTracks,
        features: pd.DataFrame,
        vocabulary: GenreVocabulary,
        preprocessor: Preprocessor,
        *,
        multi_label: bool = False,
        echonest: pd.DataFrame | None = None,
        echonest_preprocessor: Preprocessor | None = None,
        seed: int = 0,
        training: bool = False,
    ) -> None:
        self.ids, self.genres, self.vocabulary = tracks.ids, tracks.genres, vocabulary
        self.preprocessor, self.echonest_preprocessor = preprocessor, echonest_preprocessor
        self.multi_label, self._seed, self._training, self.epoch = multi_label, seed, training, 1
        self.collater = CollateFunctionWrapper(vocabulary, multi_label)
        self.collater([self._blank(genres) for genres in tracks.genres])  # raises an error for an unknown genre now
        self.layout = layout_of(preprocessor)
        self._features = preprocessor.transform(features_of(features, tracks.ids))
        self._known: dict[int, int] = {}
        if echonest is not None and echonest_preprocessor is not None:
            known = rows_known(echonest, tracks.ids)
            self._known = {int(track): row for row, track in enumerate(known.index)}
            self._echonest_layout = layout_of(echonest_preprocessor)
            self._echonest = echonest_preprocessor.transform(known)

    @classmethod
    def from_fma(
        cls,
        fma: FMA,
        subset: str = "medium",
        split: str = "training",
        labels: str = "genre_top",
        *,
        echonest: Sequence[str] = (),
        like: "FMADataset | None" = None,
        preprocessor: Preprocessor | None = None,
    ) -> "FMADataset":
        """Open an official split.

        Args:
            fma: the tables.
            subset: small, medium or large.
            split: training, validation or test.
            labels: genre_top, roots or genres_all, see :func:`mert_fairseq.genre.features.fma_tracks.labelled_tracks`.
            echonest: groups of echonest.csv to add, such as audio_features.
            like: the training data set, whose vocabulary and preprocessors are used; None to open the training split.
            preprocessor: is fitted on the training split; None for default options.

        Raises:
            ValueError: if a split other than training is opened without ``like``.
        """
        tracks = labelled_tracks(fma, subset, split, labels)
        table = echonest_table(fma, echonest) if echonest else None
        if like is None:
            if split != "training":
                raise ValueError(
                    f"split {split!r} without like=: vocabulary and preprocessor come from the training split only. "
                    f"Open that first and pass it as like=."
                )
            vocabulary = GenreVocabulary.of(title for genres in tracks.genres for title in genres)
            preprocessor = (preprocessor or Preprocessor()).fit(features_of(fma.features, tracks.ids))
            known = None if table is None else Preprocessor().fit(rows_known(table, tracks.ids))
        else:
            vocabulary, preprocessor, known = like.vocabulary, like.preprocessor, like.echonest_preprocessor
        return cls(
            tracks,
            fma.features,
            vocabulary,
            preprocessor,
            multi_label=is_multi_label(labels),
            echonest=table,
            echonest_preprocessor=known,
            training=split == "training",
        )

    def _blank(self, genres: Sequence[str]) -> dict[str, Any]:
        return {"id": 0, "tokens": np.zeros((1, 1), np.float32), "genres": genres}

    def genre_to_index(self, title: str) -> int:
        """The class of a genre; raises KeyError for an unknown genre."""
        return self.vocabulary.index(title)

    def index_to_genre(self, index: int) -> str:
        """The genre of a class; raises IndexError for an unknown class."""
        return self.vocabulary.title(index)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A track: id; tokens (n, W) float32, n = 77 or more with Echonest tokens; genres by title."""
        track = self.ids[index]
        tokens = self.layout.expand(self._features[index])
        if track in self._known:
            tokens = np.concatenate([tokens, self._echonest_layout.expand(self._echonest[self._known[track]])])
        return {"id": track, "tokens": torch.from_numpy(tokens), "genres": self.genres[index]}

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """For scikit-learn: features (N, C) float32 without Echonest, and targets (N,) int64 or (N, K) float32."""
        target = self.collater([self._blank(genres) for genres in self.genres])["target"]
        return self._features, target.numpy()

    # fairseq's interface of a data set.

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self._training

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def num_tokens(self, index: int) -> int:
        return len(self.layout.sizes) + (len(self._echonest_layout.sizes) if self.ids[index] in self._known else 0)

    def size(self, index: int) -> int:
        return self.num_tokens(index)

    def ordered_indices(self) -> np.ndarray:
        """The order of tracks. In training it depends on seed and epoch, so a resumed run sees the same batches."""
        if not self._training:
            return np.arange(len(self))
        return generator(self._seed, self.epoch, ORDER).permutation(len(self))

    def batch_by_size(
        self,
        indices: np.ndarray,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[np.ndarray]:
        """Cut indices into batches of ``max_sentences`` tracks. No track is dropped; the other limits are ignored.

        Raises:
            ValueError: if ``max_sentences`` is not set.
        """
        if not max_sentences:
            raise ValueError("dataset.batch_size is not set; give the tracks per batch, such as 64.")
        return [indices[start : start + max_sentences] for start in range(0, len(indices), max_sentences)]


def layout_of(preprocessor: Preprocessor) -> TokenLayout:
    """The token layout of a preprocessor's outputs."""
    if preprocessor.components:
        return TokenLayout.of_components(preprocessor.components)
    return TokenLayout.of_columns(preprocessor.columns)
