"""torch.compile of the model's parts, each a graph of its own."""

from typing import Any

from torch import nn

from mert_fairseq.modules.conv_stack import ConvStack
from mert_fairseq.modules.encoder import TransformerEncoderExtend

CHOICES = ("off", "layers", "all")


def compile_parts(conv_stack: ConvStack, encoder: TransformerEncoderExtend, which: str, **options: Any) -> None:
    """Compile parts in place; they are traced when they first run, and parameters keep their names.

    Masks and mixtures are drawn with numpy, layers are dropped by a coin: both stay outside the graphs, so that neither
    the number of masked frames nor a dropped layer starts a compilation. All layers of one kind share their graphs.

    Args:
        conv_stack: compiled with ``all``. Batches whose padding is left out run uncompiled through it.
        encoder: its layers are compiled with ``layers`` and ``all``, its positional convolution with ``all``.
        which: off, layers or all.
        options: of ``torch.compile``.

    Raises:
        ValueError: if ``which`` is anything else.
    """
    which = "off" if which == "False" else which  # YAML reads a bare off as false
    if which not in CHOICES:
        raise ValueError(f"model.compile is {which!r}, expected one of {CHOICES}.")
    parts: list[nn.Module] = [] if which == "off" else list(encoder.layers)
    if which == "all":
        parts += [conv_stack, *([] if encoder.pos_conv is None else [encoder.pos_conv])]
    for part in parts:
        part.compile(**options)
