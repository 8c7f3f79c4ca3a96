"""Music files for the tests of preprocessing: real encodings of seeded tones, and every kind of bad file."""

from pathlib import Path

import numpy as np
import soundfile

SUBTYPES = {
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".flac": ("FLAC", "PCM_16"),
    ".wav": ("WAV", "PCM_16"),
}


def tone(seconds: float, rate: int, seed: int = 0, channels: int = 1, peak: float = 0.4) -> np.ndarray:
    """(samples, channels) float32: a tone whose pitch follows from the seed, with noise, below ``peak``."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * rate)
    wave = np.sin(2 * np.pi * rng.uniform(200, 2000) * np.arange(samples) / rate)
    wave = 0.9 * peak * wave + 0.1 * peak * rng.uniform(-1, 1, samples)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def write_music(path: Path, wave: np.ndarray, rate: int, subtype: str | None = None) -> Path:
    """Encode by the file's suffix, making its folder; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, usual = SUBTYPES[path.suffix]
    with soundfile.SoundFile(path, "w", rate, wave.shape[1], subtype or usual, format=kind) as file:
        for start in range(0, len(wave), 4096):  # libsndfile's Vorbis encoder overflows its stack on one long write
            file.write(wave[start : start + 4096])
    return path


def make_music(path: Path, seconds: float = 2.0, rate: int = 44_100, seed: int = 0, channels: int = 2) -> Path:
    """A healthy file; Opus is encoded at 48 kHz, which is all it can be."""
    rate = 48_000 if path.suffix == ".opus" else rate
    return write_music(path, tone(seconds, rate, seed, channels), rate)


def cut(path: Path, share: float = 0.6) -> Path:
    """Keep the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def corrupt(path: Path, length: int = 500) -> Path:
    """Overwrite bytes in the middle with noise."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + length] = np.random.default_rng(1).integers(0, 256, length, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    return path


def make_bad_folder(folder: Path) -> dict[str, str]:
    """Write one file of each kind that is refused while it is read; gives the expected reason of each by path."""
    rate = 44_100
    for suffix in SUBTYPES:
        cut(make_music(folder / f"cut{suffix}", 6))
    for suffix in (".ogg", ".opus"):
        corrupt(make_music(folder / f"corrupt{suffix}", 6))
    corrupt(make_music(folder / "corrupt.flac", 6))
    corrupt(make_music(folder / "corrupt.mp3", 6), 4000)  # the decoder skips up to 1,024 bytes, a frame or three
    write_music(folder / "silent.flac", np.zeros((rate * 2, 2), dtype=np.float32), rate)
    write_music(folder / "constant.wav", np.full((rate * 2, 1), 0.5, dtype=np.float32), rate)
    left = tone(2, rate)
    write_music(folder / "cancels.wav", np.concatenate([left, -left], axis=1), rate, "FLOAT")
    write_music(folder / "clipped.wav", np.clip(20 * tone(2, rate), -1, 1), rate)
    spoilt = tone(2, rate)
    spoilt[rate] = np.nan
    write_music(folder / "nan.wav", spoilt, rate, "FLOAT")
    write_music(folder / "header_only.wav", np.zeros((0, 1), dtype=np.float32), rate)
    write_music(folder / "blip.wav", tone(0.5, rate), rate)
    (folder / "zero.mp3").touch()
    (folder / "page.mp3").write_bytes(b"<!DOCTYPE html><html>not found</html>" * 100)
    (folder / "noise.flac").write_bytes(np.random.default_rng(0).integers(0, 256, 9999, dtype=np.uint8).tobytes())
    (folder / "itunes.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(5000))
    make_music(folder / "x.flac", seed=3).rename(folder / "really_flac.mp3")
    make_music(folder / "y.ogg", seed=4).rename(folder / "really_ogg.txt")
    return {
        **{f"cut{suffix}": "truncated" for suffix in SUBTYPES},
        **{"corrupt.ogg": "damaged", "corrupt.opus": "damaged", "corrupt.flac": "truncated"},
        **{"corrupt.mp3": "truncated", "silent.flac": "silent", "constant.wav": "silent", "cancels.wav": "silent"},
        **{"clipped.wav": "clipped", "nan.wav": "not_finite", "header_only.wav": "empty", "blip.wav": "too_short"},
        **{"zero.mp3": "empty", "page.mp3": "wrong_extension", "noise.flac": "undecodable"},
        **{"itunes.m4a": "no_decoder", "really_flac.mp3": "wrong_extension", "really_ogg.txt": "wrong_extension"},
    }
