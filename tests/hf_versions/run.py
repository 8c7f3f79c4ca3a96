"""Loads tiny exports with several versions of transformers, each in an environment of its own without fairseq.

    make test-hf        or        python tests/hf_versions/run.py --versions 4.38.2 5.23.0

Each environment needs 0.2 GB, and torch, which all share, 1 to 6 GB depending on the build; all are deleted at the end.
Prints a Markdown table; exits with 1 if a version does not compute the stored values.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VERSIONS = ("4.38.2", "4.48.3", "4.57.3", "5.23.0")
TORCH = "2.13.0"
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hubert_post": ("hubert", {"extractor_mode": "default"}),
    "hubert_pre": ("hubert", {"layer_norm_first": True}),
    "mert_deepnorm": ("mert", {"deepnorm": True, "pos_conv_depth": 3}),
    "mert_subln": ("mert", {"subln": True, "layer_norm_first": True}),
    "mert_cqt": ("mert", {"feature_extractor_cqt": True, "do_cnn_feat_stable_layernorm": True}),
    "mert_spectral": ("mert", {"front_end": "spectral"}),
}


def make_exports(root: Path) -> None:
    """Write the folders, and beside each a wave and the states that fairseq computes from it."""
    sys.path.insert(0, str(HERE.parent))
    import numpy as np
    from hf.tiny_pretraining import random_wave, save_pretraining

    from mert_fairseq.hf.compare_states import fairseq_states
    from mert_fairseq.hf.export import export_hf
    from mert_fairseq.hf.model_card import Statement
    from mert_fairseq.hf.pretraining import read_pretraining

    for name, (layout, options) in LAYOUTS.items():
        checkpoint = root / f"{name}.pt"
        save_pretraining(checkpoint, **options)
        export_hf(checkpoint, root / name, layout, Statement(name), heads=True)
        wave = random_wave(samples=23_456)
        states = fairseq_states(read_pretraining(checkpoint).build(checkpoint), wave)
        layers = np.stack([state.numpy() for state in states.layers])
        np.savez(root / f"{name}.npz", wave=wave.numpy(), states=layers, output=states.output.numpy())


def python_of(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / "bin" / "python"


def make_environment(environment: Path, requirement: str, torch_from: Path | None = None) -> None:
    """A fresh environment with one requirement, which sees the torch of another one."""
    venv.create(environment, with_pip=True)
    if torch_from is not None:
        packages = next(torch_from.glob("lib/python*/site-packages"))
        (next(environment.glob("lib/python*/site-packages")) / "torch.pth").write_text(f"{packages}\n")
    subprocess.run([python_of(environment), "-m", "pip", "install", "-q", requirement], check=True)


def check_version(environment: Path, exports: Path) -> dict[str, Any]:
    """What ``check_states.py`` finds; its last error line in place of it if it fails."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(environment / "hf_home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python_of(environment), HERE / "check_states.py", exports],
        env=variables, cwd=exports, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def row(version: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    if "error" in found:
        return f"| {version} | | | | {found['error']} |"
    states = found["folders"].values()
    worst = max(state["difference"] for state in states)
    verdict = f"differs: {', '.join(found['bad'])}" if found["bad"] else f"{worst:.1e}"
    last = found["folders"]["hubert_pre"]["last_state"]
    return f"| {found['transformers']} | {found['torch']} | {found['numpy']} | {last} | {verdict} |"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--versions", nargs="+", default=VERSIONS, help="of transformers")
    options.add_argument("--torch", default=TORCH, help=f"version of torch (default: {TORCH})")
    chosen = options.parse_args()
    root = Path(tempfile.mkdtemp(prefix="hf_versions_"))
    try:
        exports = root / "exports"
        exports.mkdir()
        make_exports(exports)
        make_environment(root / "torch", f"torch=={chosen.torch}")
        subprocess.run([python_of(root / "torch"), "-m", "pip", "install", "-q", "numpy"], check=True)
        rows, failed = [], False
        for version in chosen.versions:
            environment = root / version
            make_environment(environment, f"transformers=={version}", torch_from=root / "torch")
            found = check_version(environment, exports)
            failed |= "error" in found or bool(found["bad"])
            rows.append(row(version, found))
            shutil.rmtree(environment)
    finally:
        shutil.rmtree(root)
    print("| transformers | torch | numpy | last hidden state of a pre-norm HubertModel | largest difference |")
    print("|---|---|---|---|--:|")
    print("\n".join(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
