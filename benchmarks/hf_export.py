"""Size, time and exactness of exports: Hugging Face folder, import of it, ONNX file, of random weights.

    python benchmarks/hf_export.py [--sizes tiny 95m 330m]

Each step runs in a process of its own, whose peak memory is shown. 330m needs 8 GB of memory and 6 GB in the
temporary folder.
"""

import argparse
import json
import logging
import multiprocessing
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent.parent / "config" / "pretrain"
RATE = 24_000


def options_of(size: str) -> dict[str, Any]:
    """Model options of a recipe, with those that it inherits."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    name = size if size == "tiny" else f"mert_{size}"
    with initialize_config_dir(str(RECIPES.resolve()), version_base=None):
        recipe = compose(name, overrides=["task.data=unused"])
    model: Any = OmegaConf.to_container(recipe.model, resolve=False)
    return model | {"label_rate": 75.0}


def make_checkpoint(path: Path, size: str) -> dict[str, Any]:
    """Random weights of a recipe, as a trainer saves them."""
    import torch
    from omegaconf import OmegaConf

    from mert_fairseq.models.mert import MERTModel
    from mert_fairseq.models.mert_config import MERTConfig

    torch.manual_seed(0)
    options, codes = options_of(size), [str(code) for code in range(1024)]
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), options)
    model = MERTModel(cfg, RATE, [len(codes) + 4] * 8)
    labels = [f"encodec_{index}" for index in range(8)]
    task = {"_name": "mert_pretraining", "sample_rate": RATE, "label_rate": 75.0, "labels": labels, "normalize": False}
    torch.save(
        {
            "cfg": {"model": options, "task": task},
            "model": model.state_dict(),
            "task_state": {"label_symbols": [(codes, [1] * len(codes))] * 8},
        },
        path,
    )
    return {"MB": path.stat().st_size / 1e6}


def export_folder(folder: Path) -> dict[str, Any]:
    """mert-export-hf."""
    from mert_fairseq.hf.export import export_hf
    from mert_fairseq.hf.model_card import Statement

    done = export_hf(folder / "a.pt", folder / "hf", "hubert", Statement("benchmark"), heads=True)
    return {"MB": done.megabytes, "difference": done.largest_difference}


def import_folder(folder: Path) -> dict[str, Any]:
    """mert-import-hf."""
    from mert_fairseq.hf.folder_content import NewHeads
    from mert_fairseq.hf.import_folder import import_hf

    done = import_hf(folder / "hf", folder / "b.pt", NewHeads())
    return {"MB": done.checkpoint.stat().st_size / 1e6, "difference": done.largest_difference}


def export_graph(folder: Path) -> dict[str, Any]:
    """mert-export-onnx, all layers."""
    from mert_fairseq.hf.onnx_export import export_onnx

    done = export_onnx(folder / "a.pt", folder / "a.onnx", None)
    return {"MB": done.megabytes, "difference": done.largest_difference}


def measured(step: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a step returns, with its seconds and the peak memory of its process."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    found = step(*arguments)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {**found, "seconds": time.perf_counter() - started, "peak_GB": peak_gb}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", nargs="+", default=["tiny", "95m", "330m"], help="recipes (default: all)")
    options.add_argument("--json", action="store_true", help="one JSON object per step in place of the table")
    chosen = options.parse_args()
    if not chosen.json:
        print("| size | step | MB | seconds | peak memory, GB | largest difference |\n|---|---|--:|--:|--:|--:|")
    context = multiprocessing.get_context("spawn")
    for size in chosen.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            steps = [(make_checkpoint, (folder / "a.pt", size))]
            steps += [(step, (folder,)) for step in (export_folder, import_folder, export_graph)]
            for step, arguments in steps:
                with context.Pool(1) as pool:  # a process per step, so that peaks are its own
                    found = pool.apply(measured, (step, *arguments))
                print_step(size, step.__name__, found, chosen.json)


def print_step(size: str, step: str, found: dict[str, Any], as_json: bool) -> None:
    """One line."""
    if as_json:
        print(json.dumps({"size": size, "step": step, **found}), flush=True)
        return
    difference = f"{found['difference']:.1e}" if "difference" in found else ""
    print(
        f"| {size} | {step} | {found['MB']:.1f} | {found['seconds']:.0f} | {found['peak_GB']:.1f} | {difference} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
