"""fairseq's messages name options of its command line; under Hydra they are called otherwise."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fairseq.dataclass.configs import FairseqConfig
from hydra.core.hydra_config import HydraConfig

FLAG = re.compile(r"--([a-z0-9][a-z0-9-]*)")


def hydra_names(message: str) -> list[str]:
    """Hydra's names of the options that a message of fairseq gives as ``--some-option``; unknown ones are left out."""
    names = []
    for flag in FLAG.findall(message):
        option = flag.replace("-", "_")
        for group, field in FairseqConfig.__dataclass_fields__.items():
            if option in getattr(field.default, "__dataclass_fields__", {}):
                names.append(f"{group}.{option}")
                break
    return list(dict.fromkeys(names))


@contextmanager
def naming_hydra_options() -> Iterator[None]:
    """Add Hydra's names of the options to an error that names those of the command line."""
    try:
        yield
    except Exception as error:
        names = hydra_names(str(error)) if HydraConfig.initialized() else []
        if names:
            error.add_note(f"On the command line of fairseq-hydra-train: {', '.join(names)}.")
        raise
