"""EnCodec's 24 kHz model with seeded random weights and codebooks that are used: no download, the same arithmetic."""

from typing import Any

import torch
from encodec import EncodecModel

GAIN = 1.5


def random_encodec(seed: int = 0) -> Any:
    """A model whose codebooks hold random draws at the scale of what reaches them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EncodecModel.encodec_model_24khz(pretrained=False)
        model.set_target_bandwidth(6.0)
        with torch.inference_mode():
            for name, parameter in model.encoder.named_parameters():
                # torch's start lets a signal fade under the biases; then every code would be a tie
                if name.endswith("weight_g"):
                    parameter.mul_(GAIN)
                elif name.endswith("conv.bias"):
                    parameter.zero_()
            embedding = model.encoder(0.1 * torch.randn(1, 1, 24_000))[0]
            scale, centre = embedding.std(1), embedding.mean(1)
            for q, layer in enumerate(model.quantizer.vq.layers):
                drawn = 0.7**q * scale * torch.randn(1024, len(scale))
                layer._codebook.embed.copy_(drawn + centre if q == 0 else drawn)
    return model
