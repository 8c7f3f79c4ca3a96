"""Compares exported folders with values stored beside them; runs where only transformers and torch are installed.

python check_states.py FOLDER     prints one JSON object
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoFeatureExtractor, AutoModel, pipeline

TOLERANCE = 1e-4  # of a state's largest absolute value


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest, relative to the largest absolute value that is expected."""
    if expected.shape != found.shape:
        return float("inf")
    return float(np.abs(expected - found).max() / np.abs(expected).max())


def check(folder: Path) -> dict:
    """Load one folder as users do and compare all its states."""
    stored = np.load(folder.with_suffix(".npz"))
    is_remote = (folder / "modeling_mert.py").exists()
    model, report = AutoModel.from_pretrained(folder, trust_remote_code=is_remote, output_loading_info=True)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    wave = stored["wave"]
    inputs = extractor(list(wave), sampling_rate=24_000, return_tensors="pt", return_attention_mask=False)
    with torch.no_grad():
        outputs = model.eval()(**inputs, output_hidden_states=True)
    states = [state.numpy() for state in outputs.hidden_states]
    last = outputs.last_hidden_state.numpy()
    found = [difference(want, got) for want, got in zip(stored["states"][:-1], states[:-1], strict=True)]
    last_not_normed, last_normed = (difference(want, states[-1]) for want in (stored["states"][-1], stored["output"]))
    features = pipeline("feature-extraction", model=str(folder), tokenizer=extractor, trust_remote_code=is_remote)
    piped = np.array(features(wave[0]), dtype=np.float32)
    return {
        "states": len(states),
        "difference": max(
            [*found, min(last_not_normed, last_normed), difference(stored["output"], last),
             difference(stored["output"][:1], piped)]
        ),
        "last_state": "normed" if last_normed < last_not_normed else "not normed",
        "whole": not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")),
    }  # fmt: skip


def main() -> None:
    root = Path(sys.argv[1])
    for name in ("fairseq", "mert_fairseq"):
        if importlib.util.find_spec(name):
            raise SystemExit(f"{name} is installed here; the check is about an environment without it.")
    folders = {path.name: check(path) for path in sorted(root.iterdir()) if path.is_dir()}
    bad = [name for name, found in folders.items() if found["difference"] > TOLERANCE or not found["whole"]]
    result = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "folders": folders,
        "bad": bad,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
