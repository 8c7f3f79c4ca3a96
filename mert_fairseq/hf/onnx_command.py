"""The command mert-export-onnx."""

import argparse
import logging
import sys
from collections.abc import Sequence

from mert_fairseq.arguments import Help
from mert_fairseq.jobs.command import FROM_THE_BEGINNING, JobError, quiet_libraries, run_command

DESCRIPTION = """Export layers of a pretraining checkpoint as an ONNX file, for onnxruntime without torch.

    mert-export-onnx exp/mert_95m/checkpoint_last.pt mert.onnx --layers 7 12

The layers are compared with the checkpoint's in onnxruntime before the file gets its name."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="mert-export-onnx", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("checkpoint", help="checkpoint of the task mert_pretraining, a .pt file")
    options.add_argument("out", help="file to write; must be new")
    options.add_argument(
        "--layers",
        type=int,
        nargs="+",
        metavar="LAYER",
        help="to compute, 0 (the input of the first layer) to the last; none above the highest is kept (default: all)",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns 0, or 1 for a checkpoint that cannot be exported."""
    chosen = parser().parse_args(arguments)
    quiet_libraries()
    return run_command("mert-export-onnx", lambda: _export(chosen), FROM_THE_BEGINNING)


def _export(chosen: argparse.Namespace) -> str:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise JobError(f"{error}. Install what the export needs: pip install 'mert_fairseq[onnx]'.") from error
    from mert_fairseq.hf.onnx_export import export_onnx

    logging.getLogger().setLevel(logging.WARNING)  # torch's exporter logs every step
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # and warns about torchvision, which is not needed
    done = export_onnx(chosen.checkpoint, chosen.out, chosen.layers)
    return (
        f"{done.file}: layers {', '.join(map(str, done.layers))}; {done.megabytes:.1f} MB in {done.seconds:.1f} s; "
        f"compared in onnxruntime, largest difference {done.largest_difference:.1e} of a layer's scale"
    )


if __name__ == "__main__":
    sys.exit(main())
