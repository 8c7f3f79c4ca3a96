"""The files of a Hugging Face folder: read and written without trusting pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mert_fairseq.files import read_json_object

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
OLD_WEIGHTS = "pytorch_model.bin"
HEADS = "heads.safetensors"
TRAINING = "fairseq.json"
CARD = "README.md"
FORMAT = 1  # of fairseq.json
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write float32 safetensors, as transformers reads them."""
    contiguous = {name: weight.detach().float().contiguous() for name, weight in weights.items()}
    save_file(contiguous, path, metadata={"format": "pt"})


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged, or no safetensors file ({error}). Fetch or export it again.") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The model's weights: safetensors, in one file or several, or the older pytorch_model.bin.

    Raises:
        FileNotFoundError: if the folder has none of them.
        ValueError: if a file is damaged, or holds objects that would have to be trusted.
    """
    if (folder / WEIGHTS).is_file():
        return read_safetensors(folder / WEIGHTS)
    if (folder / WEIGHTS_INDEX).is_file():
        index = read_json_object(folder / WEIGHTS_INDEX, "Fetch the folder again.")
        parts = sorted(set(index["weight_map"].values()))
        return {name: weight for part in parts for name, weight in read_safetensors(folder / part).items()}
    if (folder / OLD_WEIGHTS).is_file():
        return _read_old(folder / OLD_WEIGHTS)
    raise FileNotFoundError(f"{folder}: found no {WEIGHTS} and no {OLD_WEIGHTS}. Give a downloaded or exported folder.")


def _read_old(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types here, none of them public
        raise ValueError(f"{path}: damaged, or with objects whose code would have to be trusted.") from error
    if not isinstance(weights, dict):
        raise ValueError(f"{path}: holds no weights by name.")
    return weights


def read_training(folder: Path) -> dict[str, Any] | None:
    """The content of a folder's ``fairseq.json``, or None if it has no such file.

    Raises:
        ValueError: if it is damaged or of another format.
    """
    if not (folder / TRAINING).is_file():
        return None
    content = read_json_object(folder / TRAINING, "Export the folder again.")
    missing = {"dtype", "model", "task", "codebooks"} - content.keys()
    if content.get("format") != FORMAT or missing or content["dtype"] not in DTYPES:
        raise ValueError(
            f"{folder / TRAINING}: found format {content.get('format')!r}, expected {FORMAT} with dtype, model, task "
            f"and codebooks. Export the folder again with this version."
        )
    return content
