"""The EnCodec teacher: 8 codebooks of 1024 codes at 75 Hz from the 24 kHz model at 6 kbit/s (arXiv:2210.13438).

A track is encoded in chunks that pass on their state, so a track of any length takes the same memory and gets the same
codes as in one pass. Codes can differ only by rounding, where two codebook entries are equally near. Several tracks can
be encoded in one batch; each gets the same codes as alone.
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
from mert_fairseq.teachers.streaming import State, StreamingEncoder, select_rows

SAMPLE_RATE = 24_000
LABEL_RATE_HZ = 75.0
KBITS = 6.0  # per second: 8 codebooks
CHECKPOINT = "encodec_24khz-d7cc33bc.th"  # the package's file name, which ends with the first digits of the SHA-256
URL = "https://dl.fbaipublicfiles.com/encodec/v0/"
CPU_CHUNK_FRAMES = 150  # the widest layer takes 6 MB; 75 to 300 are equally fast, 15 takes 1.6 times as long
GPU_CHUNK_FRAMES = 750


class Chunk(NamedTuple):
    """Consecutive samples of a track."""

    wave: np.ndarray  # (n,) float32
    last: bool  # whether the track ends with it


class EncodecTeacher:
    """Codes of the first codebooks of an EnCodec model.

    Args:
        model: the package's 24 kHz EncodecModel.
        device: where it runs; None means the GPU if there is one.
        chunk_frames: codes per chunk, at least 8.

    Raises:
        ValueError: if it is another model, or the chunk is too short.
    """

    def __init__(self, model: Any, device: str | torch.device | None = None, chunk_frames: int | None = None):
        if (model.sample_rate, model.channels, model.normalize) != (SAMPLE_RATE, 1, False):
            raise ValueError(
                f"EnCodec: found a model for {model.sample_rate} Hz and {model.channels} channels, expected the "
                f"24 kHz mono model. Use EncodecModel.encodec_model_24khz."
            )
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.eval().to(self.device)
        chunk_frames = chunk_frames or (CPU_CHUNK_FRAMES if self.device.type == "cpu" else GPU_CHUNK_FRAMES)
        if chunk_frames < 8:
            raise ValueError(f"EnCodec: found chunk_frames {chunk_frames}, expected at least 8. Increase it.")
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
        """Codes of one track, chunk by chunk: (n,) float32 blocks to (frames, Q) uint16."""
        return (codes for _, codes in self.codes_of_batch([blocks]))

    @torch.inference_mode()
    def codes_of_batch(self, tracks: Sequence[Iterable[np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Encode tracks in one batch; most efficient if their lengths are similar.

        Args:
            tracks: for each track its (n,) float32 blocks.

        Yields:
            (index of the track, (frames, Q) uint16), the codes of each track in order.
        """
        streams = [_chunks(blocks, self.chunk_samples) for blocks in tracks]
        states: State = None
        active = list(range(len(tracks)))
        while active:
            chunks = [next(streams[track]) for track in active]
            next_states, unfinished = None, list[int]()
            for last, rows in _batches(chunks):
                wave = torch.from_numpy(np.stack([chunks[row].wave for row in rows])[:, None])
                codes, new_states = self._encode(wave.to(self.device), select_rows(states, rows), last)
                yield from ((active[row], each) for row, each in zip(rows, codes, strict=True))
                if not last:
                    next_states, unfinished = new_states, [active[row] for row in rows]
            states, active = next_states, unfinished

    def _encode(self, wave: Tensor, states: State, last: bool) -> tuple[np.ndarray, State]:
        """(B, 1, T) to (B, F, Q) uint16, and the states for the next chunk."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32 rounds to 10 bits and changes codes
            if states is None and last:  # whole tracks: the package pads tracks that are shorter than a kernel
                return self._quantise(self.model.encoder(wave)), None
            embedding, states = self._encoder(wave, states, last)
        return self._quantise(embedding), states

    def _quantise(self, embedding: Tensor) -> np.ndarray:
        """(B, D, F) to (B, F, Q) uint16: each codebook encodes the residual of the codebooks before it."""
        batch, dim, frames = embedding.shape
        residual = embedding.transpose(1, 2).reshape(-1, dim)
        codes = []
        for codebook, half_squares in zip(self.codebooks, self._half_squares, strict=True):
            best = torch.addmm(half_squares, residual, codebook.T, beta=-1).argmax(1)
            residual = residual - codebook[best]
            codes.append(best)
        return torch.stack(codes, 1).view(batch, frames, -1).cpu().numpy().astype(np.uint16)


def _batches(chunks: list[Chunk]) -> list[tuple[bool, list[int]]]:
    """Group rows into batches, each with whether its tracks end: last chunks of equal length, and all other chunks."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for row, chunk in enumerate(chunks):
        groups.setdefault((chunk.last, len(chunk.wave)), []).append(row)
    return [(last, rows) for (last, _), rows in groups.items()]


def _chunks(blocks: Iterable[np.ndarray], chunk_samples: int) -> Iterator[Chunk]:
    """Chunks of ``chunk_samples``; the last has up to twice as many: a short one cannot be reflection-padded."""
    buffer: list[np.ndarray] = []
    for window in windows(blocks, chunk_samples, 0, 0):
        buffer.append(window.wave)
        if len(buffer) == 3 or (len(buffer) == 2 and len(buffer[1]) == chunk_samples):
            yield Chunk(buffer.pop(0), last=False)
    yield Chunk(np.concatenate(buffer), last=True)


def load_encodec(weights: str | Path | None = None, sha256: str | None = None) -> tuple[Any, str]:
    """Load the 24 kHz model; returns it with the SHA-256 of its weights.

    Args:
        weights: a state dict written by torch.save, or the folder that holds it under the package's file name; None
            lets the package download it.
        sha256: how the file's SHA-256 must begin. None takes it from the file name, if that ends in a hyphen and 8 or
            more hexadecimal digits, as the package's file name does.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if the weights cannot be downloaded.
        ValueError: if the file has another SHA-256, or holds weights of another model.
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
            f"one; download it again."
        )
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # about its weight norm
        model = EncodecModel.encodec_model_24khz(pretrained=False)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many undocumented types here
        raise ValueError(
            f"{path}: cannot be loaded ({error}), expected the weights of EnCodec's 24 kHz model. "
            f"Download {CHECKPOINT} again."
        ) from error
    return model, found


def _download() -> Path:
    """Let the package download its weights; returns their path. Weights downloaded before are used again."""
    from encodec import EncodecModel

    try:
        EncodecModel.encodec_model_24khz(pretrained=True)
    except (OSError, RuntimeError) as error:  # no network, or the download has another hash
        raise OSError(
            f"EnCodec: its weights cannot be downloaded ({error}). Download {URL}{CHECKPOINT} on a machine that is "
            f"online, and give the file: --weights FILE."
        ) from error
    return Path(torch.hub.get_dir()) / "checkpoints" / CHECKPOINT
