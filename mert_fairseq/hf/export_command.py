"""The command mert-export-hf."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mert_fairseq.arguments import Help, positive_float
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, quiet_libraries, run_command

DESCRIPTION = """Export a pretraining checkpoint as a Hugging Face folder.

    mert-export-hf exp/mert_95m/checkpoint_last.pt my-mert --licence cc-by-4.0

All layers are compared with the checkpoint before the folder gets its name."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="mert-export-hf", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("checkpoint", help="checkpoint of the task mert_pretraining, a .pt file")
    options.add_argument("out", help="folder to write; must be new")
    options.add_argument(
        "--layout",
        choices=("hubert", "mert"),
        default="hubert",
        help="hubert loads without remote code; mert carries a small model file and holds DeepNorm, Sub-LN and more",
    )
    options.add_argument("--licence", default="", help="of the weights, as the Hugging Face hub names it: cc-by-4.0")
    options.add_argument("--name", default="", help="of the model, for the card; the folder's name if not given")
    options.add_argument("--data", default="", help="one sentence for the card about the music it was trained on")
    options.add_argument(
        "--hours", type=positive_float, help="of that music; counted in the training's manifest if not given"
    )
    options.add_argument(
        "--no-heads", action="store_true", help="leave out the heads; an import then cannot continue with them"
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns 0, or 1 for a checkpoint that cannot be exported."""
    chosen = parser().parse_args(arguments)
    quiet_libraries()
    return run_command("mert-export-hf", lambda: _export(chosen), FROM_THE_BEGINNING)


def _export(chosen: argparse.Namespace) -> str:
    from mert_fairseq.hf.export import export_hf
    from mert_fairseq.hf.model_card import Statement

    statement = Statement(chosen.name or Path(chosen.out).name, chosen.licence, chosen.data, chosen.hours)
    done = export_hf(chosen.checkpoint, chosen.out, chosen.layout, statement, heads=not chosen.no_heads)
    return (
        f"{done.folder}: {done.megabytes:.1f} MB in {done.seconds:.1f} s; all layers compared, largest difference "
        f"{done.largest_difference:.1e} of a layer's scale"
    )


if __name__ == "__main__":
    sys.exit(main())
