"""``fairseq.json`` of an export: what fairseq needs to continue the pretraining, beside the weights."""

from pathlib import Path
from typing import Any

import torch

from mert_fairseq.hf.folder import TRAINING, read_json
from mert_fairseq.hf.pretraining import PATHS, Codebook, Pretraining

FORMAT = 1
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def training_content(source: Pretraining) -> dict[str, Any]:
    """The content of the file; folders of the machine that trained are left out."""
    return {
        "format": FORMAT,
        "dtype": str(source.dtype).removeprefix("torch."),
        "model": _without_paths(source.encoder.options),
        "task": _without_paths(source.task),
        # symbols hold no blanks: a dictionary file separates symbol and count by one
        "codebooks": [
            {"symbols": " ".join(symbols), "counts": " ".join(map(str, counts))} for symbols, counts in source.codebooks
        ],
        "num_updates": source.num_updates,
        "metrics": source.metrics,
    }


def _without_paths(options: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if name in PATHS and value else value for name, value in options.items()}


def read_training(folder: Path) -> dict[str, Any] | None:
    """The file's content, or None if the folder has none.

    Raises:
        ValueError: if it is damaged or of another format.
    """
    if not (folder / TRAINING).is_file():
        return None
    content = read_json(folder / TRAINING, "Export the folder again.")
    missing = {"dtype", "model", "task", "codebooks"} - content.keys()
    if content.get("format") != FORMAT or missing or content["dtype"] not in DTYPES:
        raise ValueError(
            f"{folder / TRAINING}: found format {content.get('format')!r}, expected {FORMAT} with dtype, model, task "
            f"and codebooks. Export the folder again with this version."
        )
    return content


def codebooks_of(content: dict[str, Any]) -> list[Codebook]:
    """The codebooks, one per label."""
    return [
        (codebook["symbols"].split(), [int(count) for count in codebook["counts"].split()])
        for codebook in content["codebooks"]
    ]
