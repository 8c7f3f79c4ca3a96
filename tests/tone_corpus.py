"""A small training set, made where a test needs one: tones, and codes of which the first follow them."""

from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 24_000
HOP = 320


def make_tone_corpus(
    folder: Path, tracks: dict[str, int] | None = None, seconds: float = 2.0, codebooks: int = 2, codes: int = 16
) -> Path:
    """Write audio, manifests, text labels ``rvq_0``, ``rvq_1``, ... and dictionaries; gives the folder.

    Each track is a row of tones; codebook 0 names the tone, so that it can be learnt, and the others are random.
    """
    rng = np.random.default_rng(0)
    audio = folder / "audio"
    audio.mkdir(parents=True)
    samples = int(seconds * SAMPLE_RATE)
    frames = -(-samples // HOP)
    for split, count in (tracks or {"train": 8, "valid": 2}).items():
        rows: list[str] = []
        labels: list[list[str]] = [[] for _ in range(codebooks)]
        for track in range(count):
            tones = np.repeat(rng.integers(codes, size=frames // 15 + 1), 15)[:frames]
            frequency_hz = np.repeat(220 * 2 ** (tones / 12), HOP)[:samples]
            wave = 0.3 * np.sin(2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE) + 0.01 * rng.standard_normal(samples)
            name = f"{split}_{track}.wav"
            soundfile.write(audio / name, wave, SAMPLE_RATE, subtype="PCM_16")
            rows.append(f"{name}\t{samples}\n")
            for q in range(codebooks):
                row = tones if q == 0 else rng.integers(codes, size=frames)
                labels[q].append(" ".join(map(str, row)) + "\n")
        (folder / f"{split}.tsv").write_text(f"{audio}\n" + "".join(rows))
        for q in range(codebooks):
            (folder / f"{split}.rvq_{q}").write_text("".join(labels[q]))
    for q in range(codebooks):
        (folder / f"dict.rvq_{q}.txt").write_text("".join(f"{code} {1 + (code == 3)}\n" for code in range(codes)))
    return folder
