"""Facts about FMA: archives, subsets, splits, published counts and accuracies, citation, tracks with bad audio."""

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

SUBSETS = ("small", "medium", "large")  # in order: each contains the ones before it
SPLITS = ("training", "validation", "test")
MANIFEST_SPLITS = {"training": "train", "validation": "valid", "test": "test"}  # file names of the manifests


class Archive(NamedTuple):
    """One published zip file."""

    name: str
    sha1: str
    gibibytes: float
    folder: str  # the top folder inside the zip

    @property
    def url(self) -> str:
        """Address of the published file."""
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

# Test accuracy for genre_top, by (subset, features) and model: Defferrard et al. 2017.
PUBLISHED_ACCURACY = {
    ("medium", "all"): {"logistic regression": 0.61, "kNN": 0.52, "SVM": 0.63, "MLP": 0.58},
    ("medium", "mfcc"): {"logistic regression": 0.58, "kNN": 0.55, "SVM": 0.61, "MLP": 0.53},
    ("medium", "mfcc+spectral_contrast"): {"logistic regression": 0.60, "kNN": 0.55, "SVM": 0.63, "MLP": 0.54},
    ("small", "mfcc"): {"SVM": 0.4638},
}


def audio_path(track_id: int, suffix: str = ".mp3") -> Path:
    """Path of a track inside an audio archive: ``000/000002.mp3`` for track 2."""
    if not 0 <= track_id <= 999_999:
        raise ValueError(f"track id {track_id} is outside 0 ... 999999: FMA's audio folders have six digits.")
    name = f"{track_id:06d}"
    return Path(name[:3]) / (name + suffix)


def track_id_of(path: Path | str) -> int:
    """Track id from the name of an audio file: 2 for ``000/000002.mp3``.

    Raises:
        ValueError: if the name is not a track number.
    """
    stem = Path(path).stem
    if not (stem.isascii() and stem.isdigit()):
        raise ValueError(f"{path}: expected a track number such as 000/000002.mp3, found {stem!r}.")
    return int(stem)


NO_AUDIO = "no audio in the file"
TOO_SHORT = "far too short"
WRONG_CUT = "wrong cut (issue 8 of the data set's tracker)"

_NO_AUDIO = (99134, 108925, 133297)
_TOO_SHORT = (98565, 98567, 98569)
_WRONG_CUT = (
    *(1486, 5574, 65753, 80391, 98558, 98559, 98560, 98565, 98566, 98567, 98568, 98569, 98571, 99134),
    *(105247, 108924, 108925, 126981, 127336, 133297, 143992),
)
_WRONG_CUT_IN_LARGE = (2624,)  # only in the clips of fma_large


def known_bad(archive: str = "large") -> dict[int, str]:
    """Tracks whose published audio is known to be broken, with their reasons joined by "; ".

    Args:
        archive: the audio archive: small, medium, large or full.
    """
    if archive not in ("small", "medium", "large", "full"):
        raise ValueError(f"archive {archive!r} is unknown; choose small, medium, large or full.")
    reasons: dict[int, list[str]] = {}
    cut = (*_WRONG_CUT, *_WRONG_CUT_IN_LARGE) if archive == "large" else _WRONG_CUT
    for reason, tracks in ((NO_AUDIO, _NO_AUDIO), (TOO_SHORT, _TOO_SHORT), (WRONG_CUT, cut)):
        for track in tracks:
            reasons.setdefault(track, []).append(reason)
    return {track: "; ".join(reasons[track]) for track in sorted(reasons)}
