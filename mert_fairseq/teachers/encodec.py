"""The EnCodec teacher: 8 codebooks of 1024 codes at 75 Hz from the 24 kHz model at 6 kbit/s (arXiv:2210.13438).

Chunks carry their state, so a track of any length takes the same memory and gets the codes of a pass over the whole;
what is left is rounding where two entries of a codebook are as near. Tracks can be encoded side by side, each with the
codes that it has alone.
"""

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mert_fairseq.teachers.chunking import windows
from mert_fairseq.teachers.streaming import State, StreamingEncoder, take_rows

SAMPLE_RATE = 24_000
LABEL_RATE_HZ = 75.0
KBITS = 6.0  # a second: 8 codebooks
CHECKPOINT = "encodec_24khz-d7cc33bc.th"  # the package's name; its end is the start of the SHA-256
URL = "https://dl.fbaipublicfiles.com/encodec/v0/"
CPU_CHUNK_FRAMES = 150  # the widest layer takes 6 MB; 75 to 300 are as fast, 15 takes 1.6 times as long
GPU_CHUNK_FRAMES = 750


class Chunk(NamedTuple):
    """A stretch of a track."""

    wave: np.ndarray  # (n,) float32
    last: bool


class EncodecTeacher:
    """Codes of the first codebooks of an EnCodec model.

    Args:
        model: the package's 24 kHz EncodecModel.
        device: where it runs; None takes the GPU if there is one.
        chunk_frames: codes of a chunk, at least 8.

    Raises:
        ValueError: if the model is another one, or the chunk is too short.
    """

    def __init__(self, model: Any, device: str | torch.device | None = None, chunk_frames: int | None = None):
        if (model.sample_rate, model.channels, model.normalize) != (SAMPLE_RATE, 1, False):
            raise ValueError(
                f"EnCodec: found a model for {model.sample_rate} Hz and {model.channels} channels, expected the "
                f"24 kHz mono model."
            )
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.eval().to(self.device)
        chunk_frames = chunk_frames or (CPU_CHUNK_FRAMES if self.device.type == "cpu" else GPU_CHUNK_FRAMES)
        if chunk_frames < 8:
            raise ValueError(f"EnCodec: chunks of {chunk_frames} codes; expected at least 8.")
        self.sample_rate = SAMPLE_RATE
        self.label_rate_hz = LABEL_RATE_HZ
        self.chunk_samples = chunk_frames * int(model.encoder.hop_length)
        quantiser = model.quantizer
        count = quantiser.get_num_quantizers_for_bandwidth(model.frame_rate, KBITS)
        self.codebooks = [layer.codebook for layer in quantiser.vq.layers[:count]]
        self.codebook_sizes = [len(codebook) for codebook in self.codebooks]
        self._half_squares = [codebook.square().sum(1) / 2 for codebook in self.codebooks]
        self._encoder = StreamingEncoder(model.encoder)

    def codes(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of one track, a chunk at a time: (n,) float32 blocks to (frames, Q) uint16."""
        return (codes for _, codes in self.codes_of_batch([blocks]))

    @torch.inference_mode()
    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of tracks side by side; best if they are about as long.

        Args:
            tracks: (n,) float32 blocks of each.

        Yields:
            (place among the tracks, (frames, Q) uint16), the codes of a track in their order.
        """
        streams = [_chunks(blocks, self.chunk_samples) for blocks in tracks]
        states: State = None
        alive = list(range(len(tracks)))
        while alive:
            chunks = [next(streams[track]) for track in alive]
            after, going_on = None, list[int]()
            for last, rows in _alike(chunks):
                wave = torch.from_numpy(np.stack([chunks[row].wave for row in rows])[:, None])
                codes, left = self._encode(wave.to(self.device), take_rows(states, rows), last)
                yield from ((alive[row], each) for row, each in zip(rows, codes, strict=True))
                if not last:
                    after, going_on = left, [alive[row] for row in rows]
            states, alive = after, going_on

    def _encode(self, wave: Tensor, states: State, last: bool) -> tuple[np.ndarray, State]:
        """(B, 1, T) to (B, F, Q) uint16, and the states for the next chunk."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # which rounds to 10 bits, and changes codes
            if states is None and last:  # whole tracks: the package knows how to pad what is shorter than a kernel
                return self._quantise(self.model.encoder(wave)), None
            embedding, states = self._encoder(wave, states, last)
        return self._quantise(embedding), states

    def _quantise(self, embedding: Tensor) -> np.ndarray:
        """(B, D, F) to (B, F, Q) uint16: each codebook takes what the ones before left over."""
        batch, dim, frames = embedding.shape
        residual = embedding.transpose(1, 2).reshape(-1, dim)
        codes = []
        for codebook, half_squares in zip(self.codebooks, self._half_squares, strict=True):
            best = torch.addmm(half_squares, residual, codebook.T, beta=-1).argmax(1)
            residual = residual - codebook[best]
            codes.append(best)
        return torch.stack(codes, 1).view(batch, frames, -1).cpu().numpy().astype(np.uint16)


def _alike(chunks: list[Chunk]) -> list[tuple[bool, list[int]]]:
    """Rows that can go side by side: all that go on, and those that end with chunks as long; with whether they end."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for row, chunk in enumerate(chunks):
        groups.setdefault((chunk.last, len(chunk.wave)), []).append(row)
    return [(last, rows) for (last, _), rows in groups.items()]


def _chunks(blocks: Iterable[np.ndarray], chunk_samples: int) -> Iterator[Chunk]:
    """Chunks of ``chunk_samples``, and a last one of up to twice as much: a short one could not be reflected."""
    held: list[np.ndarray] = []
    for window in windows(blocks, chunk_samples, 0, 0):
        held.append(window.wave)
        if len(held) == 3 or (len(held) == 2 and len(held[1]) == chunk_samples):
            yield Chunk(held.pop(0), last=False)
    yield Chunk(np.concatenate(held), last=True)


def load_encodec(weights: str | Path | None = None, sha256: str | None = None) -> tuple[Any, str]:
    """The 24 kHz model and the SHA-256 of its weights.

    Args:
        weights: a state dict that torch.save wrote, or the folder where it lies under the package's name; None lets
            the package download it.
        sha256: what the file's SHA-256 has to begin with; without it, a file name that ends in 8 or more hexadecimal
            digits after a hyphen, as the package's does, says it.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if the weights cannot be downloaded.
        ValueError: if the file has another SHA-256, or holds other weights.
    """
    from encodec import EncodecModel

    if weights is None:
        weights = _download()
    path = Path(weights) / CHECKPOINT if Path(weights).is_dir() else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such EnCodec weights. Give the file, or the folder that holds {CHECKPOINT}."
        )
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    expected = (sha256 or (named[1] if named else "")).lower()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected):
        raise ValueError(
            f"{path}: found SHA-256 {found}, expected it to begin with {expected}. The file is damaged or another "
            f"one; fetch it again."
        )
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # torch's, of the package's weight norm
        model = EncodecModel.encodec_model_24khz(pretrained=False)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many types here, none of them public
        raise ValueError(f"{path}: holds no weights of EnCodec's 24 kHz model ({error}).") from error
    return model, found


def _download() -> Path:
    """Let the package fetch its weights, or find those that it fetched before."""
    from encodec import EncodecModel

    try:
        EncodecModel.encodec_model_24khz(pretrained=True)
    except (OSError, RuntimeError) as error:  # no network; or what came has another hash
        raise OSError(
            f"EnCodec: its weights cannot be downloaded ({error}). Fetch {URL}{CHECKPOINT} with a machine that is "
            f"online, and give its place here: --weights FILE."
        ) from error
    return Path(torch.hub.get_dir()) / "checkpoints" / CHECKPOINT
