"""A picture of how well a model predicts the CQT of a clip: the target beside the prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.utils import apply_to_sample
from torch import Tensor

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.modules.waveform import float_wave

PICTURE_SECONDS = 10
MAX_MASKS = 40  # usually about ten masks are enough to mask every frame once
Sample = dict[str, Any]


def clean_cqt(model: MERTModel, source: Tensor, frames: int) -> Tensor:
    """(F, bins) float32 CQT of a batch of one clip, trimmed to the encoder's frames."""
    return _cqt_head(model).target(float_wave(source), frames)[0]


def _cqt_head(model: MERTModel) -> Any:
    return model.encoder_cqt_model


@torch.no_grad()
def cqt_and_prediction(model: MERTModel, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """A clip's CQT and its prediction, where each frame is predicted while it is masked.

    Args:
        model: in evaluation mode, with a CQT head.
        sample: a batch of one clip, on the model's device.

    Returns:
        Two (F, bins) float32 arrays. The prediction is the mean over random masks. Frames that no mask covered
        are NaN, such as the last one.
    """
    net_input = sample["net_input"]
    total: Any = 0.0
    count: Any = 0
    for draw in range(MAX_MASKS):
        seeds = net_input["clip_seeds"] + draw
        masked = model(**{**net_input, "clip_seeds": seeds}, target_list=sample["target_list"])["mask_indices"]
        encoded = model(net_input["source"], clip_seeds=seeds, mask_indices=masked, features_only=True)["x"][0]
        total = total + _cqt_head(model).fc(encoded).float() * masked[0, :, None]
        count = count + masked[0].int()
        if bool((count[:-1] > 0).all()):  # masks, like fairseq's, never cover the last frame
            break
    prediction = total / count[:, None]
    return clean_cqt(model, net_input["source"], len(prediction)).cpu().numpy(), prediction.cpu().numpy()


def draw_cqt_picture(path: Path, model: MERTModel, sample: Sample, sample_rate: int, title: str) -> Path:
    """Draw the CQT and the prediction of the first 10 s of a clip.

    The model keeps its mode. Masks come from the clip's seed, so that torch's generators do not advance.

    Args:
        path: the PNG to write; its folder is created.
        model: with a CQT head, on any device.
        sample: a batch of one clip, as the data set's collater makes it.
        sample_rate: in Hz.
        title: of the upper image.

    Returns:
        ``path``.
    """
    from mert_fairseq.reporting import figures  # here: most runs draw nothing, and need no matplotlib

    device = next(model.parameters()).device
    sample = apply_to_sample(lambda tensor: tensor.to(device), sample)
    source = sample["net_input"]["source"][:, : PICTURE_SECONDS * sample_rate]
    net_input = {"source": source, "clip_seeds": sample["net_input"]["clip_seeds"]}
    training = model.training
    model.eval()
    try:
        target, prediction = cqt_and_prediction(model, {**sample, "net_input": net_input})
    finally:
        model.train(training)
    path.parent.mkdir(parents=True, exist_ok=True)
    images = {title: target, "predicted, each frame while it was masked": prediction}
    return figures.draw_spectrograms(
        path,
        {label: figures.log_magnitudes(image) for label, image in images.items()},
        seconds=source.size(1) / sample_rate,
        ylabel="frequency",
        yticks=figures.note_ticks(_cqt_head(model).teacher.geometry.frequencies_hz),
        value="log10 of magnitude",
    )
