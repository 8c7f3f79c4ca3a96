"""Music of four genres that differ in how notes follow each other, and hardly in which: made where a test needs it.

All genres play the same five notes. Upwards or downwards, slowly or fast; a note swells and
fades evenly. Falling music is rising music backwards, so no mean spectrum tells them apart.
"""

from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 24_000
GENRES = {15: "Electronic", 17: "Folk", 21: "Hip-Hop", 12: "Rock"}  # FMA's ids of four of its roots
RECIPES = {15: (1, 10.0), 17: (1, 5.0), 21: (-1, 10.0), 12: (-1, 5.0)}  # direction, notes a second
NOTES = (0, 9, 18, 27, 36)  # semitones above 220 Hz


def piece(genre: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(T,) float of a genre: where it starts and how loud it is are drawn."""
    direction, notes_per_second = RECIPES[genre]
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE * notes_per_second
    note = np.floor(time).astype(int)
    step = NOTES[::direction]
    semitones = np.take(step, (note + rng.integers(len(NOTES))) % len(NOTES))
    frequency_hz = 220 * 2 ** (semitones / 12)
    phase = 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE
    swell = np.sin(np.pi * (time - note)) ** 0.5
    tone = np.sin(phase) + 0.3 * np.sin(2 * phase)
    return rng.uniform(0.1, 0.5) * swell * tone / 1.3 + 0.003 * rng.standard_normal(len(time))


def make_genre_music(folder: Path, tracks: dict[str, int], seconds: float = 4.0) -> Path:
    """Write audio, manifests and genre labels as preprocess/prepare_fma.py does; gives the folder.

    Args:
        folder: to be made.
        tracks: of each genre, by split.
        seconds: of a track.
    """
    rng = np.random.default_rng(0)
    audio, labels = folder / "audio", folder / "genres"
    audio.mkdir(parents=True)
    labels.mkdir()
    for split, count in tracks.items():
        rows, genres = [], []
        for number in range(count):
            for genre in GENRES:
                wave = piece(genre, seconds, rng)
                name = f"{split}_{genre}_{number:03d}.wav"
                soundfile.write(audio / name, wave, SAMPLE_RATE, subtype="PCM_16")
                rows.append(f"{name}\t{len(wave)}\n")
                genres.append(f"{genre}\n")
        (folder / f"{split}.tsv").write_text(f"{audio}\n" + "".join(rows))
        (labels / f"{split}.genre_top").write_text("".join(genres))
    each = tracks["train"]
    (labels / "dict.genre_top.txt").write_text("".join(f"{genre} {each}\n" for genre in sorted(GENRES)))
    titles = "".join(f"{genre}\t{title}\t{genre}\t{title}\n" for genre, title in GENRES.items())
    (labels / "genres.tsv").write_text("genre_id\ttitle\troot\tpath\n" + titles)
    return folder
