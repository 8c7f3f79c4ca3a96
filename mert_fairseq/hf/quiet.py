"""Commands without the noise of the libraries below them."""

import logging
import warnings

# Beginnings of warnings about the code of fairseq and torch, of no use to users.
NOISES = ("`torch.jit.script` is deprecated", "`torch.nn.utils.weight_norm` is deprecated")


def quiet_libraries() -> None:
    """Show warnings that users can act on only; call before fairseq is imported, which sets up logging of its own."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for noise in NOISES:
        warnings.filterwarnings("ignore", message=noise)
