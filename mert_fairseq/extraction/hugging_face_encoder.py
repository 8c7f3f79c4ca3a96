"""A Hugging Face folder as an ``Encoder``: HubertModel, Wav2Vec2Model, MERT's layout without its remote code."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mert_fairseq.extraction import cpu_speed
from mert_fairseq.extraction.frozen_encoder import Encoder, digest_of
from mert_fairseq.files import read_json_object
from mert_fairseq.frames import ConvLayer, conv_stride, receptive_field

MODEL_CLASSES = {"hubert": "HubertModel", "mert_model": "HubertModel", "wav2vec2": "Wav2Vec2Model"}
# Options of MERT's layout that a HubertModel cannot hold, with the value that changes nothing.
BEYOND_HUBERT = {"feature_extractor_cqt": False, "deepnorm": False, "conv_pos_batch_norm": False}
OWN_LAYOUT = "mert_encoder"  # model_type of mert-export-hf --layout mert
WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")  # the first that exist are loaded
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
NORM_EPSILON = 1e-7  # of transformers' Wav2Vec2FeatureExtractor


class HuggingFaceEncoder(Encoder):
    """A model that transformers loads.

    Args:
        folder: with config.json and weights.
        name: of the folder, for messages.
        device: where the model runs.

    Raises:
        FileNotFoundError: if the folder holds no model.
        ValueError: if the architecture is another one, the weights do not fit, or no sample rate is stated.
        ImportError: if transformers is not installed.
    """

    def __init__(self, folder: Path, name: str, device: torch.device) -> None:
        transformers = _transformers(name)
        options = _read_json(folder / CONFIG)
        files = weight_files(folder)
        if options is None or not files:
            raise FileNotFoundError(
                f"{name}: found no {CONFIG if options is None else 'weights'} in it. Expected a folder "
                f"as save_pretrained writes it: config.json and model.safetensors."
            )
        self.name = name
        self.sample_rate, self.normalizes = preprocessing(name, options, _read_json(folder / PREPROCESSOR))
        # float(): transformers 5 keeps weights that were saved in half precision as they are
        self.model = load_model(transformers, name, folder, options).eval().float().to(device)
        if device.type == "cpu":
            cpu_speed.speed_up(self.model)
        config = self.model.config
        conv = [
            ConvLayer(*layer) for layer in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True)
        ]
        self.hop_samples, self.receptive_samples = conv_stride(conv), receptive_field(conv)
        self.num_layers = config.num_hidden_layers + 1
        self.width = config.hidden_size
        self.digest = digest_of(files)
        self.device = device

    def _states(self, waves: Tensor, highest: int) -> Sequence[Tensor]:
        if self.normalizes:
            variance, mean = torch.var_mean(waves, dim=1, keepdim=True, correction=0)
            waves = (waves - mean) / (variance + NORM_EPSILON).sqrt()
        # Our own hooks: versions of transformers differ in the hidden_states of pre-norm models, and in whether a
        # model with fewer layers returns them at all.
        states: list[Tensor] = []
        layers = self.model.encoder.layers
        hooks = [layers[0].register_forward_pre_hook(lambda layer, args: states.append(args[0]))]
        hooks += [layer.register_forward_hook(functools.partial(_keep_output, states)) for layer in layers[:highest]]
        self.model.encoder.layers = layers[: max(1, highest)]
        try:
            output = self.model(waves).last_hidden_state
        finally:
            self.model.encoder.layers = layers
            for hook in hooks:
                hook.remove()
        if highest == self.num_layers - 1:
            states[-1] = output  # with the final norm of pre-norm models
        return states


def _keep_output(states: list[Tensor], layer: Any, arguments: Any, output: Any) -> None:
    states.append(output[0] if isinstance(output, tuple) else output)


def download(name: str) -> Path:
    """The folder of a model on the Hub.

    Raises:
        FileNotFoundError: if it cannot be downloaded.
        ImportError: if transformers is not installed.
    """
    _transformers(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", *WEIGHT_FILES]))
    except (OSError, ValueError) as error:  # huggingface_hub's own errors are kinds of these
        raise FileNotFoundError(
            f"{name}: no such folder, and no model of this name could be downloaded ({error}). Give a checkpoint of "
            f"fairseq, a Hugging Face folder, or a name such as m-a-p/MERT-v1-95M."
        ) from error


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: safetensors, or else pickles, which transformers loads without trusting them."""
    found = (sorted(folder.glob(pattern)) for pattern in WEIGHT_FILES)
    return next((files for files in found if files), [])


def preprocessing(name: str, options: dict[str, Any], preprocessor: dict[str, Any] | None) -> tuple[int, bool]:
    """Sample rate in Hz, and whether waves are standardised, as the folder states them.

    Raises:
        ValueError: if it states no sample rate.
    """
    stated = preprocessor or {}
    rate = stated.get("sampling_rate") or options.get("sample_rate")
    if not rate:
        raise ValueError(
            f"{name}: states no sample rate. Expected sampling_rate in {PREPROCESSOR} or sample_rate in config.json; "
            f"add the one that the model was trained with."
        )
    return int(rate), bool(stated.get("do_normalize", False))


def load_model(transformers: Any, name: str, folder: Path, options: dict[str, Any]) -> Any:
    """The model of a folder, all its weights in place.

    Raises:
        ValueError: if it is of another architecture, or weights are missing or do not fit.
    """
    kind = options.get("model_type")
    if kind not in MODEL_CLASSES:
        raise ValueError(
            f"{name}: found a model of type {kind!r}, expected one of {', '.join(MODEL_CLASSES)}: models of raw audio "
            f"with the layout of HuBERT."
        )
    if beyond := [key for key, neutral in BEYOND_HUBERT.items() if options.get(key, neutral) != neutral]:
        raise ValueError(
            f"{name}: config.json sets {', '.join(beyond)}, which transformers' HubertModel does not have. "
            f"Give the fairseq checkpoint of this model."
        )
    model_class = getattr(transformers, MODEL_CLASSES[kind])
    config = model_class.config_class.from_dict({**options, "model_type": model_class.config_class.model_type})
    try:
        with quiet_transformers(transformers):
            model, report = model_class.from_pretrained(
                folder, config=config, output_loading_info=True, local_files_only=True
            )
    except Exception as error:  # transformers, safetensors and torch raise many types here
        raise ValueError(
            f"{name}: its weights cannot be loaded ({error}). Fetch or export the folder again."
        ) from error
    missing = sorted(set(report["missing_keys"]) - {"masked_spec_embed"})
    if missing:
        raise ValueError(
            f"{name}: lacks the weights {', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}. Expected "
            f"all weights of a {model_class.__name__}; export the folder again."
        )
    return model


def model_type(folder: Path) -> str | None:
    """The kind of model that a folder's config.json states; None without the file or the entry."""
    return (_read_json(folder / CONFIG) or {}).get("model_type")


def _read_json(path: Path) -> dict[str, Any] | None:
    return read_json_object(path, "Fetch or export the folder again.") if path.is_file() else None


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"{name}: loading a Hugging Face model needs transformers. Install it: pip install 'mert_fairseq[hf]'."
        ) from error
    return transformers


@contextmanager
def quiet_transformers(transformers: Any) -> Iterator[None]:
    """Keep the progress bar and the report on keys off the standard error; keys are checked here."""
    log = transformers.utils.logging
    verbosity, has_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if has_bar:
            log.enable_progress_bar()
