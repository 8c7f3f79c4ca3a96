"""Task ``fma_genre``: FMA's feature table and genres to batches of feature tokens."""

# fairseq makes command-line arguments of the fields and understands typing's List and Optional only.
# ruff: noqa: UP006, UP035

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, List

from fairseq.tasks import register_task
from omegaconf import II, MISSING

from mert_fairseq.fma.card import MANIFEST_SPLITS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.genre.base_task import GenreConfig, GenreTask
from mert_fairseq.genre.features.dataset import FMADataset, echonest_table, features_of, layout_of, rows_known
from mert_fairseq.genre.features.fma_genres import LabelledTracks, labelled_tracks, several_genres, without_rare
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.features.tokens import WIDTH
from mert_fairseq.genre.splits import check_counts, check_disjoint
from mert_fairseq.genre.vocabulary import GenreVocabulary
from mert_fairseq.options import option
from mert_fairseq.tasks.clip_task import EpochTask

OFFICIAL_SPLITS = {short: official for official, short in MANIFEST_SPLITS.items()}  # train: training, ...


@dataclass
class FMAGenreConfig(GenreConfig):
    data: str = option(MISSING, "folder of the unpacked fma_metadata: tracks.csv, genres.csv, features.csv")
    subset: str = option("medium", "small (8 balanced genres), medium (16) or large; medium has published baselines")
    labels: str = option(
        "genre_top",
        "genre_top (one genre a track), roots (all top-level genres of a track) or genres_all (and those below)",
    )
    min_genre_tracks: int = option(
        0, "leave out genres with fewer training tracks; 0: a genre without any is an error. For genres_all: 10"
    )
    echonest: List[str] = field(
        default_factory=list,
        metadata={
            "help": "groups of echonest.csv that become further tokens, for tracks that have them, such as "
            "[audio_features, temporal_features]"
        },
    )
    transforms: List[str] = field(
        default_factory=list,
        metadata={"help": "functions of single values, applied to the features first: signed_log, signed_root"},
    )
    impute: str = option("median", "what fills gaps in the features: median, mean, or none to refuse them")
    clip: float = option(5.0, "largest distance from the mean, in standard deviations; 0 for no limit")
    pca: float = option(0.0, "principal components: 0 none, below 1 the share of variance to keep, else their number")
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")


@register_task("fma_genre", dataclass=FMAGenreConfig)
class FMAGenreTask(EpochTask, GenreTask):
    """Genres of FMA's tracks from features.csv, on the official splits (train, valid, test).

    The preprocessors are fitted on the training split; checkpoints carry them, so that a checkpoint and a table are all
    that a test needs.
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
        """The tables, read when first used."""
        return FMA(self.cfg.data)

    @property
    def several_genres(self) -> bool:
        return several_genres(self.cfg.labels)

    @property
    def token_sizes(self) -> list[int]:
        """Numbers in each token of a track that has all of them."""
        sizes = layout_of(self.preprocessor).sizes
        extra = layout_of(self.echonest_preprocessor).sizes if self.echonest_preprocessor else ()
        return [*sizes, *extra]

    @property
    def token_width(self) -> int:
        """To which tokens are padded."""
        return WIDTH

    @property
    def preprocessor(self) -> Preprocessor:
        """Of the features, fitted on the training split."""
        return Preprocessor.from_state_dict(self.state.preprocessor)

    @property
    def echonest_preprocessor(self) -> Preprocessor | None:
        """Of Echonest's groups, if any is used."""
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
        """Tracks of a split with their genres; the rare ones are left out if the options say so.

        Raises:
            ValueError: if the split is unknown.
        """
        if split not in OFFICIAL_SPLITS:
            raise ValueError(f"split {split!r} is unknown, expected one of {', '.join(OFFICIAL_SPLITS)}.")
        tracks = labelled_tracks(self.fma, self.cfg.subset, OFFICIAL_SPLITS[split], self.cfg.labels)
        return without_rare(tracks, set(self.state.genres)) if self.cfg.min_genre_tracks else tracks

    def read_genres(self) -> tuple[GenreVocabulary, list[int]]:
        """Genres of all three splits, and the training tracks of each."""
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
            ValueError, KeyError: for what is missing or wrong; the message says where and the remedy.
        """
        self.datasets[split] = FMADataset(
            self.tracks_of(split),
            self.fma.features,
            self.vocabulary,
            self.preprocessor,
            several=self.several_genres,
            echonest=echonest_table(self.fma, self.cfg.echonest) if self.cfg.echonest else None,
            echonest_preprocessor=self.echonest_preprocessor,
            seed=self.cfg.seed,
            training=split == self.cfg.train_subset,
        )
        check_disjoint({name: dataset.ids for name, dataset in self.datasets.items()})
