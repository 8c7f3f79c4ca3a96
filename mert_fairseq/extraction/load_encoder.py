"""``load_encoder``: a checkpoint of fairseq or a Hugging Face folder as an ``Encoder``."""

import re
import warnings
from pathlib import Path

import torch

from mert_fairseq.extraction.frozen_encoder import Encoder
from mert_fairseq.jobs.command import ignore_warnings

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def load_encoder(path_or_name: str | Path, device: str | torch.device | None = None) -> Encoder:
    """Load a model for extraction, without running code or trusting pickles from it.

    Args:
        path_or_name: a checkpoint of fairseq (.pt), or a Hugging Face folder (our exports, the published MERT layout,
            any HubertModel or Wav2Vec2Model), or the name of one on the Hub, which is downloaded.
        device: such as ``cpu`` or ``cuda:1``; None for a GPU if available.

    Raises:
        FileNotFoundError: if no such file or folder exists.
        ValueError: if it is damaged or another kind of model, or the device does not exist.
        ImportError: if a Hugging Face folder is given and transformers is not installed.
    """
    with warnings.catch_warnings():
        ignore_warnings()
        return _load(path_or_name, _device(device))


def _load(path_or_name: str | Path, target: torch.device) -> Encoder:
    path = Path(path_or_name)
    if path.is_file():
        from mert_fairseq.extraction.checkpoint_encoder import load_checkpoint

        return load_checkpoint(path, target)
    name = str(path_or_name)
    is_hub_name = HUB_NAME.fullmatch(name) and path.suffix != ".pt" and not path.parent.is_dir()
    if path.is_dir() or is_hub_name:
        return _load_folder(path if path.is_dir() else None, name, target)
    raise FileNotFoundError(
        f"{path_or_name}: no such checkpoint or folder. Give the .pt file that fairseq saved, or a Hugging Face folder."
    )


def _load_folder(folder: Path | None, name: str, device: torch.device) -> Encoder:
    from mert_fairseq.extraction.hugging_face_encoder import OWN_LAYOUT, HuggingFaceEncoder, download, model_type

    folder = folder or download(name)
    if model_type(folder) == OWN_LAYOUT:
        from mert_fairseq.extraction.checkpoint_encoder import load_exported

        return load_exported(folder, name, device)
    return HuggingFaceEncoder(folder, name, device)


def _device(device: str | torch.device | None) -> torch.device:
    has_gpu = torch.cuda.is_available()
    try:
        found = torch.device(device or ("cuda" if has_gpu else "cpu"))
    except RuntimeError as error:
        raise ValueError(f"device {device}: unknown. Give cpu, cuda or cuda:1.") from error
    if found.type == "cuda" and not (has_gpu and (found.index or 0) < torch.cuda.device_count()):
        raise ValueError(f"device {device}: found {torch.cuda.device_count()} GPUs. Give cpu, or no device.")
    return found
