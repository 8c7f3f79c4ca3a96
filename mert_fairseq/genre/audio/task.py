"""Task ``genre_audio``: classify genres from audio, with manifests and genre labels."""

# fairseq makes command-line arguments of the fields and understands typing's Optional only.
# ruff: noqa: UP045

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import register_task
from omegaconf import II, MISSING
from torch import nn

from mert_fairseq.data.checks import check_sample_rate, usable_tracks
from mert_fairseq.genre.audio.dataset import GenreAudioDataset
from mert_fairseq.genre.base_task import GenreConfig, GenreTask
from mert_fairseq.genre.vocabulary import GenreVocabulary, check_counts, check_disjoint
from mert_fairseq.labels.genre_labels import GENRES_DIR, GenreLabelError, GenreLabels
from mert_fairseq.manifest import Manifest
from mert_fairseq.optimizers.layerwise_adam import check_lr_scales
from mert_fairseq.options import option
from mert_fairseq.tasks.clip_task import ClipTask, existing_folder

logger = logging.getLogger(__name__)
SHORTEST_SAMPLES = 800  # two frames of the wav2vec 2.0 conv stack


@dataclass
class GenreAudioConfig(GenreConfig, FairseqDataclass):
    data: str = option(MISSING, "folder of the manifests {split}.tsv")
    label: str = option("genre_top", "genre labels {split}.LABEL and dict.LABEL.txt: genre_top, genres or genres_all")
    label_dir: Optional[str] = option(None, f"folder of the labels and {GENRES_DIR}.tsv; DATA/{GENRES_DIR} if not set")
    multi_label: bool = option(False, "whether a track may have several genres; else it has exactly one")
    min_genre_tracks: int = option(
        0, "leave out genres with fewer training tracks; 0 keeps all, and a genre without training tracks is an error"
    )
    sample_rate: int = option(24_000, "of the audio files, in Hz; they are not resampled during training")
    max_sample_size: int = option(120_000, "samples per clip: 5 s at 24 kHz, as in pretraining")
    min_sample_size: Optional[int] = option(None, "leave out tracks shorter than this, in samples")
    test_clips: int = option(
        6, "maximum clips per track in validation and test, evenly spaced, logits averaged; 6 x 5 s covers 30 s"
    )
    max_unreadable_share: float = option(
        0.01, "stop if more than this share of an epoch's training tracks is unreadable (they are replaced)"
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")


@register_task("genre_audio", dataclass=GenreAudioConfig)
class GenreAudioTask(ClipTask, GenreTask):
    """Classify genres from audio. Tracks without a genre to learn are left out and counted in the log."""

    cfg: GenreAudioConfig
    _rates_checked = False

    def __init__(self, cfg: GenreAudioConfig) -> None:
        if cfg.test_clips < 1 or cfg.max_sample_size < SHORTEST_SAMPLES:
            raise ValueError(
                f"task.test_clips is {cfg.test_clips} and task.max_sample_size {cfg.max_sample_size} samples, expected "
                f"at least 1 and {SHORTEST_SAMPLES}."
            )
        super().__init__(cfg)

    @classmethod
    def setup_task(cls, cfg: GenreAudioConfig, **kwargs: Any) -> "GenreAudioTask":
        return cls(cfg)

    @property
    def multi_label(self) -> bool:
        return self.cfg.multi_label

    def read_genres(self) -> tuple[GenreVocabulary, list[int]]:
        """Read the genres of the dictionary and count their training tracks.

        Raises:
            ValueError: if a genre has no training track, or fewer than two genres are left.
        """
        labels, split = self._labels(), self.cfg.train_subset
        genres = labels.read(split, len(self._manifest(split)))
        vocabulary = GenreVocabulary.of(labels.titles)
        counts = vocabulary.counts(genres)
        if self.cfg.min_genre_tracks:
            few = [title for title, n in zip(vocabulary.titles, counts, strict=True) if n < self.cfg.min_genre_tracks]
            logger.info(
                f"left out {len(few)} genres with fewer than {self.cfg.min_genre_tracks} training tracks: {few}"
            )
            vocabulary = GenreVocabulary([title for title in vocabulary.titles if title not in few])
            counts = vocabulary.counts([[title for title in track if title in vocabulary] for track in genres])
        check_counts(vocabulary, counts, str(labels.folder / f"{split}.{labels.label}"))
        return vocabulary, counts

    def _labels(self) -> GenreLabels:
        data, label_dir = self.cfg.data, self.cfg.label_dir
        folder = existing_folder("task.label_dir", label_dir) if label_dir else Path(data).absolute() / GENRES_DIR
        return GenreLabels(folder, self.cfg.label)

    def names_of(self, split: str, ids: list[int]) -> list[str]:
        """Paths of tracks as in their manifest."""
        manifest = self._manifest(split)
        return [manifest.paths[track] for track in ids]

    def _tsv(self, split: str) -> Path:
        return existing_folder("task.data", self.cfg.data) / f"{split}.tsv"

    def _manifest(self, split: str) -> Manifest:
        path = self._tsv(split)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such manifest. preprocess/make_manifest.py writes train and valid; for test too, give "
                f"preprocess/label_genres.py a table with the column split. Or use a split that exists (mert-genre "
                f"report --split valid)."
            )
        return Manifest.read(path)

    def load_dataset(self, split: str, **kwargs: Any) -> None:
        """Open a split and check it.

        Raises:
            FileNotFoundError, ValueError: if data are missing or invalid; the message says where and the remedy.
        """
        cfg = self.cfg
        training = split == cfg.train_subset
        manifest = self._manifest(split)
        if not training:
            self._check_disjoint(split, manifest)
        check_sample_rate(self._tsv(split), manifest, cfg.sample_rate)
        tracks = usable_tracks(self._tsv(split), manifest, cfg.min_sample_size, None, SHORTEST_SAMPLES // 2)
        genres = self._genres_of(split, len(manifest))
        kept = np.array([track for track in tracks.tolist() if genres[track]], dtype=np.int64)
        if not len(kept):
            raise GenreLabelError(f"{self._tsv(split)}: none of {len(tracks)} tracks has one of the genres to learn.")
        logger.info(
            f"{self._tsv(split)}: {len(kept)} tracks have a genre to learn, {len(tracks) - len(kept)} are left out"
        )
        self.datasets[split] = GenreAudioDataset(
            manifest,
            kept,
            self._targets([genres[track] for track in kept]),
            sample_rate=cfg.sample_rate,
            clip_samples=cfg.max_sample_size,
            test_clips=cfg.test_clips,
            training=training,
            seed=cfg.seed,
            max_unreadable_share=cfg.max_unreadable_share,
        )

    def _check_disjoint(self, split: str, manifest: Manifest) -> None:
        """Check that the split shares no track with training, if the training manifest exists."""
        trained_on = self._tsv(self.cfg.train_subset)
        if not trained_on.is_file():
            logger.warning(
                f"{trained_on}: no such manifest, so the check that {split} and training share no track is skipped"
            )
            return
        names = {self.cfg.train_subset: Manifest.read(trained_on), split: manifest}
        check_disjoint({name: _audio_paths(tracks) for name, tracks in names.items()})

    def _genres_of(self, split: str, tracks: int) -> list[list[str]]:
        """The genres to learn of each track, by title."""
        labels = self._labels()
        if unknown := set(self.vocabulary.titles) - set(labels.titles):
            raise GenreLabelError(
                f"{labels.folder}: lacks the genres {sorted(unknown)}, which the model was trained on. Give the labels "
                f"of the training (task.label_dir)."
            )
        genres = [[title for title in track if title in self.vocabulary] for track in labels.read(split, tracks)]
        if not self.cfg.multi_label and (rows := [n for n, track in enumerate(genres) if len(track) > 1]):
            raise GenreLabelError(
                f"{labels.folder / split}.{labels.label}:{rows[0] + 1}: found the genres {genres[rows[0]]}, "
                f"expected one. Set task.multi_label: true, or choose a label with one genre per track (task.label)."
            )
        return genres

    def _targets(self, genres: list[list[str]]) -> np.ndarray:
        """(B,) int64, or (B, G) float32."""
        if self.cfg.multi_label:
            return np.stack([self.vocabulary.multi_hot(track) for track in genres])
        return np.array([self.vocabulary.encode(track) for track in genres])

    def train_step(
        self, sample: dict[str, Any], model: nn.Module, criterion: Any, optimizer: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Run a training step.

        Raises:
            ValueError: if layers have their own learning rates but the optimizer does not support them.
        """
        if not self._rates_checked:
            check_lr_scales(model.parameters(), optimizer)
            self._rates_checked = True
        return super().train_step(sample, model, criterion, optimizer, *args, **kwargs)


def _audio_paths(manifest: Manifest) -> set[str]:
    return {str(manifest.audio_path(track)) for track in range(len(manifest))}
