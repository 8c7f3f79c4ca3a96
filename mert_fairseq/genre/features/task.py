"""Task ``fma_genre``: classify genres from FMA's feature table."""

# fairseq makes command-line arguments of the fields and understands typing's List and Optional only.
# ruff: noqa: UP006, UP035

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, List

from fairseq.tasks import register_task
from omegaconf import II, MISSING

from mert_fairseq.fma.constants import MANIFEST_SPLITS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.genre.base_task import GenreConfig, GenreTask
from mert_fairseq.genre.features.dataset import FMADataset, layout_of
from mert_fairseq.genre.features.fma_tracks import (
    LabelledTracks,
    echonest_table,
    features_of,
    is_multi_label,
    labelled_tracks,
    rows_known,
    without_rare,
)
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.features.tokens import WIDTH
from mert_fairseq.genre.vocabulary import GenreVocabulary, check_counts, check_disjoint
from mert_fairseq.options import option
from mert_fairseq.tasks.clip_task import EpochTask

OFFICIAL_SPLITS = {short: official for official, short in MANIFEST_SPLITS.items()}  # train: training, ...


@dataclass
class FMAGenreConfig(GenreConfig):
    data: str = option(MISSING, "folder of the unpacked fma_metadata: tracks.csv, genres.csv, features.csv")
    subset: str = option("medium", "small (8 balanced genres), medium (16) or large; medium has published baselines")
    labels: str = option(
        "genre_top",
        "genre_top (one genre per track), roots (all top-level genres of a track) or "
        "genres_all (those and the genres below)",
    )
    min_genre_tracks: int = option(
        0,
        "leave out genres with fewer training tracks; 0 keeps all, and a genre without any is an error; use 10 for "
        "genres_all",
    )
    echonest: List[str] = field(
        default_factory=list,
        metadata={
            "help": "groups of echonest.csv to add as tokens, for tracks that have them, such as "
            "[audio_features, temporal_features]"
        },
    )
    transforms: List[str] = field(
        default_factory=list,
        metadata={"help": "elementwise functions, applied to the features first: signed_log, signed_root"},
    )
    impute: str = option("median", "what fills gaps in the features: median or mean; with none a gap is an error")
    clip: float = option(5.0, "limit of the distance from the mean, in standard deviations; 0 for no limit")
    pca: float = option(
        0.0, "principal components: 0 for none, below 1 the share of variance to keep, else their number"
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")


@register_task("fma_genre", dataclass=FMAGenreConfig)
class FMAGenreTask(EpochTask, GenreTask):
    """Classify the genres of FMA tracks from features.csv, on the official splits (train, valid, test).

    The preprocessors are fitted on the training split and stored in checkpoints, so a test needs only a checkpoint and
    the tables.
    """

    cfg: FMAGenreConfig

    def __init__(self, cfg: FMAGenreConfig) -> None:
        super().__init__(cfg)
        self.state.add_factory("preprocessor", self._fit)
        self.state.add_factory("echonest_preprocessor", self._fit_echonest)

    @classmethod
    def setup_task(cls, cfg: FMAGenreConfig, **kwargs: Any) -> "FMAGenreTask":
        return cls(cfg)

    @cached_property
    def fma(self) -> FMA:
        """The tables, read on first use."""
        return FMA(self.cfg.data)

    @property
    def multi_label(self) -> bool:
        return is_multi_label(self.cfg.labels)

    @property
    def token_sizes(self) -> list[int]:
        """Numbers in each token of a track with all tokens."""
        sizes = layout_of(self.preprocessor).sizes
        extra = layout_of(self.echonest_preprocessor).sizes if self.echonest_preprocessor else ()
        return [*sizes, *extra]

    @property
    def token_width(self) -> int:
        """The padded length of a token."""
        return WIDTH

    @property
    def preprocessor(self) -> Preprocessor:
        """The preprocessor of the features, fitted on the training split."""
        return Preprocessor.from_state_dict(self.state.preprocessor)

    @property
    def echonest_preprocessor(self) -> Preprocessor | None:
        """The preprocessor of Echonest's groups, if any are used."""
        return Preprocessor.from_state_dict(self.state.echonest_preprocessor) if self.cfg.echonest else None

    def _new_preprocessor(self) -> Preprocessor:
        cfg = self.cfg
        return Preprocessor(list(cfg.transforms), cfg.impute, cfg.clip, cfg.pca)

    def _fit(self) -> dict[str, Any]:
        ids = self.tracks_of("train").ids
        return self._new_preprocessor().fit(features_of(self.fma.features, ids)).state_dict()

    def _fit_echonest(self) -> dict[str, Any]:
        table = rows_known(echonest_table(self.fma, self.cfg.echonest), self.tracks_of("train").ids)
        return self._new_preprocessor().fit(table).state_dict()

    def tracks_of(self, split: str) -> LabelledTracks:
        """Tracks of a split with their genres; ``min_genre_tracks`` leaves out rare genres.

        Raises:
            ValueError: if the split is unknown.
        """
        if split not in OFFICIAL_SPLITS:
            raise ValueError(f"split {split!r} is unknown, expected one of {', '.join(OFFICIAL_SPLITS)}.")
        tracks = labelled_tracks(self.fma, self.cfg.subset, OFFICIAL_SPLITS[split], self.cfg.labels)
        return without_rare(tracks, set(self.state.genres)) if self.cfg.min_genre_tracks else tracks

    def read_genres(self) -> tuple[GenreVocabulary, list[int]]:
        """Read the genres of all three splits and count their training tracks."""
        cfg = self.cfg
        genres = {s: labelled_tracks(self.fma, cfg.subset, s, cfg.labels).genres for s in MANIFEST_SPLITS}
        counts = Counter(title for titles in genres["training"] for title in titles)
        vocabulary = GenreVocabulary.of(
            title
            for split in genres.values()
            for titles in split
            for title in titles
            if counts[title] >= cfg.min_genre_tracks
        )
        found = [counts[title] for title in vocabulary.titles]
        where = f"{self.fma.metadata_dir / 'tracks.csv'}, subset {cfg.subset}"
        check_counts(vocabulary, found, where)
        return vocabulary, found

    def load_dataset(self, split: str, epoch: int = 1, **kwargs: Any) -> None:
        """Open an official split: train, valid or test.

        Raises:
            ValueError, KeyError: if data are missing or invalid; the message says where and the remedy.
        """
        self.datasets[split] = FMADataset(
            self.tracks_of(split),
            self.fma.features,
            self.vocabulary,
            self.preprocessor,
            multi_label=self.multi_label,
            echonest=echonest_table(self.fma, self.cfg.echonest) if self.cfg.echonest else None,
            echonest_preprocessor=self.echonest_preprocessor,
            seed=self.cfg.seed,
            training=split == self.cfg.train_subset,
        )
        check_disjoint({name: dataset.ids for name, dataset in self.datasets.items()})
