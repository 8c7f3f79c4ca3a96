"""Facts of the corpus: archives, subsets, splits, counts and citation."""

from pathlib import Path
from typing import NamedTuple

HOMEPAGE = "https://github.com/mdeff/fma"
DOWNLOAD_URL = "https://os.unil.cloud.switch.ch/fma/"
CITATION = """\
@inproceedings{fma_dataset,
  title     = {{FMA}: A Dataset for Music Analysis},
  author    = {Defferrard, Micha\\"el and Benzi, Kirell and Vandergheynst, Pierre and Bresson, Xavier},
  booktitle = {18th International Society for Music Information Retrieval Conference (ISMIR)},
  year      = {2017},
  eprint    = {1612.01840},
  archivePrefix = {arXiv},
}"""

SUBSETS = ("small", "medium", "large")  # ordered: each holds the ones before it
SPLITS = ("training", "validation", "test")
MANIFEST_SPLITS = {"training": "train", "validation": "valid", "test": "test"}  # the names that fairseq looks for


class Archive(NamedTuple):
    """One published zip file."""

    name: str
    sha1: str
    gibibytes: float
    folder: str  # the folder inside the zip that holds everything

    @property
    def url(self) -> str:
        """Where it is published."""
        return DOWNLOAD_URL + self.name


ARCHIVES = {
    "metadata": Archive("fma_metadata.zip", "f0df49ffe5f2a6008d7dc83c6915b31835dfe733", 0.33, "fma_metadata"),
    "small": Archive("fma_small.zip", "ade154f733639d52e35e32f5593efe5be76c6d70", 7.2, "fma_small"),
    "medium": Archive("fma_medium.zip", "c67b69ea232021025fca9231fc1c7c1a063ab50b", 22, "fma_medium"),
    "large": Archive("fma_large.zip", "497109f4dd721066b5ce5e5f250ec604dc78939e", 93, "fma_large"),
    "full": Archive("fma_full.zip", "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab", 879, "fma_full"),
}

PUBLISHED_SHAPES = {  # rows x columns without the index, of fma_metadata.zip
    "tracks.csv": (106_574, 52),
    "genres.csv": (163, 4),
    "features.csv": (106_574, 518),
    "echonest.csv": (13_129, 249),
}

PUBLISHED_SPLITS = {  # tracks in training, validation and test
    "small": (6_400, 800, 800),
    "medium": (19_922, 2_505, 2_573),
    "large": (84_353, 10_958, 11_263),
}

# Share of the test split whose genre_top is right, by (subset, features) and model: Defferrard et al. 2017.
PUBLISHED_ACCURACY = {
    ("medium", "all"): {"logistic regression": 0.61, "kNN": 0.52, "SVM": 0.63, "MLP": 0.58},
    ("medium", "mfcc"): {"logistic regression": 0.58, "kNN": 0.55, "SVM": 0.61, "MLP": 0.53},
    ("medium", "mfcc+spectral_contrast"): {"logistic regression": 0.60, "kNN": 0.55, "SVM": 0.63, "MLP": 0.54},
    ("small", "mfcc"): {"SVM": 0.4638},
}


def audio_path(track_id: int, suffix: str = ".mp3") -> Path:
    """Where a track lies below the folder of an audio archive: 2 is ``000/000002.mp3``."""
    if not 0 <= track_id <= 999_999:
        raise ValueError(f"track id {track_id} is outside 0 ... 999999: FMA's audio folders have six digits.")
    name = f"{track_id:06d}"
    return Path(name[:3]) / (name + suffix)


def track_id_of(path: Path | str) -> int:
    """The track that an audio file belongs to, from its name: ``000/000002.mp3`` is 2.

    Raises:
        ValueError: if the name is not a track number.
    """
    stem = Path(path).stem
    if not (stem.isascii() and stem.isdigit()):
        raise ValueError(f"{path}: expected a track number such as 000/000002.mp3, found {stem!r}.")
    return int(stem)
