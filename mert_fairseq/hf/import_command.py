"""The command mert-import-hf."""

import argparse
import sys
from collections.abc import Sequence

from mert_fairseq.arguments import Help, positive_int
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, quiet_libraries, run_command

DESCRIPTION = """Turn a Hugging Face folder into a checkpoint for fairseq.

    mert-import-hf downloads/MERT-v1-95M mert_95m.pt
    fairseq-hydra-train ... checkpoint.finetune_from_model=$PWD/mert_95m.pt

Takes folders of mert-export-hf, m-a-p's MERT-v1-95M and -330M, and other HuBERT models. The checkpoint yields features,
can be fine-tuned (model.checkpoint of the genre task) and trained further."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="mert-import-hf", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("folder", help="with config.json and weights")
    options.add_argument("out", help="checkpoint to write, a .pt file; must be new")
    options.add_argument(
        "--labels",
        nargs="+",
        metavar="NAME",
        help="labels that new heads predict, if the folder has no heads (default: encodec_0 to encodec_7)",
    )
    options.add_argument("--codes", type=positive_int, default=1024, help="codes of each of those labels")
    options.add_argument("--seed", type=int, default=1, help="of the weights of new heads")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Import; returns 0, or 1 for a folder that cannot be imported."""
    chosen = parser().parse_args(arguments)
    quiet_libraries()
    return run_command("mert-import-hf", lambda: _import(chosen), FROM_THE_BEGINNING)


def _import(chosen: argparse.Namespace) -> str:
    from mert_fairseq.hf.folder_content import NewHeads
    from mert_fairseq.hf.import_folder import import_hf

    labels = tuple(chosen.labels) if chosen.labels else NewHeads().labels
    done = import_hf(chosen.folder, chosen.out, NewHeads(labels, chosen.codes, chosen.seed))
    heads = "heads from the folder"
    if done.new_heads:
        heads = (
            f"the folder has no heads: NEW ONES with random weights predict {', '.join(done.new_heads)}; "
            f"{chosen.codes} codes per label"
        )
    return (
        f"{done.checkpoint}: all layers compared, largest difference {done.largest_difference:.1e} of a layer's "
        f"scale; {heads}"
    )


if __name__ == "__main__":
    sys.exit(main())
