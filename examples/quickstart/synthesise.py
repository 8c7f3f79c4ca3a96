"""Make the quickstart's music: discs with one short piece in each style, 24 kHz mono FLAC; a seed gives the same bytes.

python examples/quickstart/synthesise.py demo/music --tracks 150 --seconds 10 --seed 0

Writes ``chords.jsonl`` beside the discs: for each track the length of a bar, the tonic of its key and the root of each
bar's chord; 0 is C.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from compose import STYLES, Note, Piece, Style, compose, draw_piece
from instruments import DRUMS, PITCHED, SAMPLE_RATE
from tqdm import tqdm

PEAK = 0.9  # of full scale: loud, and never clipped


def render(notes: list[Note], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Play the notes.

    Args:
        notes: any order; what reaches past ``seconds`` is cut, with a fade of 20 ms.
        rng: phases and noise.

    Returns:
        (T,) float64 at 24 kHz, peak PEAK (silence stays silence).
    """
    samples = round(seconds * SAMPLE_RATE)
    wave = np.zeros(samples)
    for note in notes:
        start = round(note.start_seconds * SAMPLE_RATE)
        played = (PITCHED | DRUMS)[note.instrument](note.frequency_hz, note.seconds, rng)[: samples - start]
        wave[start : start + len(played)] += note.gain * played
    fade = min(samples, round(0.02 * SAMPLE_RATE))
    wave[samples - fade :] *= np.linspace(1, 0, fade)
    peak = np.abs(wave).max(initial=0.0)
    return wave * (PEAK / peak) if peak > 0 else wave


def track(style: Style, seconds: float, seed: int, number: int) -> tuple[Piece, np.ndarray]:
    """Piece ``number`` in a style, drawn from the seed, the style and the number, and its (T,) int16 at 24 kHz."""
    rng = np.random.default_rng([seed, STYLES.index(style), number])
    piece = draw_piece(style, seconds, rng)
    wave = render(compose(piece, seconds, rng), seconds, rng)
    return piece, np.round(wave * 32767).astype(np.int16)


def write_track(folder: Path, seconds: float, seed: int, index: int) -> tuple[Path, Piece]:
    """Write track ``index`` of all: ``folder/disc_NN/STYLE.flac``."""
    style, number = STYLES[index % len(STYLES)], index // len(STYLES)
    piece, wave = track(style, seconds, seed, number)
    path = folder / f"disc_{number + 1:02d}" / f"{style.name}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")
    return path, piece


def write_discs(folder: Path, tracks: int, seconds: float, seed: int) -> list[Path]:
    """Write ``tracks`` pieces, disc by disc, and their chords, on all processors.

    A disc has each style once. A disc held out is then music in known styles that was never heard: a fair split.

    Returns:
        the paths, disc by disc.
    """
    write = partial(write_track, folder, seconds, seed)
    with ProcessPoolExecutor() as pool:
        written = list(tqdm(pool.map(write, range(tracks)), total=tracks, desc="synthesising", unit="track"))
    rows = [
        {
            "path": path.relative_to(folder).as_posix(),
            "bar_seconds": piece.bar_seconds,
            "tonic": piece.tonic % 12,
            "roots": piece.roots,
        }
        for path, piece in written
    ]
    (folder / "chords.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [path for path, _ in written]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the discs go")
    parser.add_argument("--tracks", type=int, default=150, help="how many tracks (default 150)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    paths = write_discs(arguments.folder, arguments.tracks, arguments.seconds, arguments.seed)
    minutes = arguments.tracks * arguments.seconds / 60
    print(f"{len(paths)} tracks, {minutes:.1f} min of music in {arguments.folder}")


if __name__ == "__main__":
    main()
