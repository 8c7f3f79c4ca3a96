"""mert-export-hf: a pretraining checkpoint as a folder that transformers loads."""

import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mert_fairseq.extraction import model_folder as files
from mert_fairseq.extraction.hugging_face_encoder import quiet_transformers
from mert_fairseq.extraction.weight_names import to_hf
from mert_fairseq.files import new_folder
from mert_fairseq.hf.compare_states import compare
from mert_fairseq.hf.config import hf_config, refuse_obstacles
from mert_fairseq.hf.model_card import Statement, model_card
from mert_fairseq.hf.pretraining import Pretraining, read_pretraining, training_content
from mert_fairseq.models.mert_config import MERTConfig

REMOTE = Path(__file__).parent / "remote"
REMOTE_FILES = ("configuration_mert.py", "modeling_mert.py", "spectra_mert.py")


class Exported(NamedTuple):
    """Result of an export."""

    folder: Path
    megabytes: float
    seconds: float
    largest_difference: float  # relative to a layer's scale


def export_hf(checkpoint: str | Path, out: str | Path, layout: str, statement: Statement, heads: bool) -> Exported:
    """Write a folder; all layers are compared with the checkpoint before it gets its name.

    Args:
        checkpoint: of the task mert_pretraining.
        out: the new folder.
        layout: hubert (no remote code) or mert (with our model file).
        statement: what the model card needs and the checkpoint does not hold.
        heads: whether to write the heads of the pretraining too.

    Raises:
        FileNotFoundError, FileExistsError: if the checkpoint is missing or the folder exists.
        ValueError: if the layout cannot hold the model, or the export differs from it.
    """
    started = time.monotonic()
    source = read_pretraining(checkpoint)
    cfg = model_config(source)
    refuse_obstacles(cfg, layout, str(checkpoint))
    if heads and source.heads and not source.codebooks:
        raise ValueError(
            f"{checkpoint}: found heads, but no dictionaries that say which codes they predict. Export without heads "
            f"(--no-heads)."
        )
    with new_folder(out) as partial:
        _write(partial, source, cfg, layout, heads)
        encoder = source.build(checkpoint)
        normalised = _do_normalize(source, cfg, layout)
        largest = compare(
            encoder, load_hf(partial, layout), source.encoder.sample_rate, normalised, f"{checkpoint} as {layout}"
        )
        card = model_card(source, cfg, layout, statement, largest)
        (partial / files.CARD).write_text(card, encoding="utf-8")
        size = sum(file.stat().st_size for file in partial.iterdir())
    return Exported(Path(out), size / 1e6, time.monotonic() - started, largest)


def model_config(source: Pretraining) -> MERTConfig:
    """The options of the model, with defaults where the checkpoint has none."""
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), source.encoder.options)
    return cfg


def _do_normalize(source: Pretraining, cfg: MERTConfig, layout: str) -> bool:
    """Whether the feature extractor normalises waves; layout ``mert`` does ``wav_normalize`` in its model file."""
    return source.encoder.normalize or (cfg.wav_normalize and layout == "hubert")


def _write(folder: Path, source: Pretraining, cfg: MERTConfig, layout: str, heads: bool) -> None:
    sample_rate = source.encoder.sample_rate
    plain: Any = OmegaConf.to_container(OmegaConf.create(hf_config(cfg, sample_rate, layout)))
    files.write_json(folder / files.CONFIG, plain)
    preprocessor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": sample_rate,
        "padding_side": "right",
        "padding_value": 0.0,
        "do_normalize": _do_normalize(source, cfg, layout),
        "return_attention_mask": str(cfg.extractor_mode) != "default",
    }
    files.write_json(folder / files.PREPROCESSOR, preprocessor)
    files.write_weights(folder / files.WEIGHTS, to_hf(source.weights))
    files.write_json(folder / files.TRAINING, training_content(source) if heads else _encoder_only(source))
    if heads and source.heads:
        files.write_weights(folder / files.HEADS, source.heads)
    if layout == "mert":
        for name in REMOTE_FILES:
            shutil.copyfile(REMOTE / name, folder / name)


def _encoder_only(source: Pretraining) -> dict[str, Any]:
    return training_content(source) | {"codebooks": []}


def load_hf(folder: str | Path, layout: str) -> Any:
    """The folder as transformers loads it, in float32 and evaluation mode.

    Raises:
        ValueError: if weights are missing or unexpected.
    """
    import transformers

    from mert_fairseq.hf.remote.modeling_mert import MERTEncoderModel

    model_class: Any = transformers.HubertModel if layout == "hubert" else MERTEncoderModel
    with quiet_transformers(transformers):
        model, report = model_class.from_pretrained(folder, output_loading_info=True)
    wrong = {kind: names for kind, names in report.items() if names}
    if wrong:
        raise ValueError(f"{folder}: transformers does not load all of it: {wrong}.")
    return model.float().eval()
