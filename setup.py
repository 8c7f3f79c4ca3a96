"""Installs the plugin and its commands; versions known to work together are pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (ROOT / "mert_fairseq/__init__.py").read_text())[1]

setup(
    name="mert_fairseq",
    version=version,
    description="Pretrain MERT, the self-supervised music model, with fairseq",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    # config/ and preprocess/ lie beside the package in a checkout, and inside it in a wheel: mert_fairseq/recipes.py
    packages=[
        *find_packages(include=["mert_fairseq", "mert_fairseq.*"]),
        "mert_fairseq.config",
        "mert_fairseq.preprocess",
    ],
    package_dir={"mert_fairseq.config": "config", "mert_fairseq.preprocess": "preprocess"},
    package_data={"mert_fairseq.config": ["**/*.yaml"]},
    python_requires=">=3.11,<3.13",
    install_requires=[
        "torch>=2.6",
        # Upstream's last state, patched for Python 3.11 and hydra 1.3; frozen, so pinned exactly, its hash in
        # requirements-fairseq.txt.
        "ve-fairseq==0.12.3; platform_machine == 'x86_64'",
        "fairseq-fixed==0.12.3.1; platform_machine != 'x86_64'",
        "hydra-core>=1.3.2,<1.4",
        "omegaconf>=2.3,<2.4",
        "hydra-submitit-launcher>=1.2,<2",
        "submitit>=1.5,<2",
        "numpy>=1.26",
        "scipy>=1.11",
        "scikit-learn>=1.4",
        "pandas>=2.1",
        "soundfile>=0.12",
        "soxr>=0.3",
        "encodec>=0.1.1",  # the teacher of the published recipes; brings torchaudio, which it imports
        "matplotlib>=3.8",
        "tqdm>=4.66",
        "tensorboardX>=2.6",  # writes event files; 90 kB. fairseq asks for it at every start if it is missing
        "wrapt>=1.15",
    ],
    entry_points={
        "console_scripts": [
            "mert-probe=mert_fairseq.probing.cli:main",
            "mert-config=mert_fairseq.recipes:main",
            "mert-check-data=mert_fairseq.preprocessing.checks.cli:main",
            "mert-extract=mert_fairseq.extraction.cli:main",
            "mert-genre=mert_fairseq.genre.cli:main",
            "mert-export-hf=mert_fairseq.hf.export_command:main",
            "mert-import-hf=mert_fairseq.hf.import_command:main",
            "mert-export-onnx=mert_fairseq.hf.onnx_command:main",
        ]
    },
    extras_require={
        "hf": ["transformers>=4.40", "safetensors>=0.4"],
        "onnx": ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.3", "transformers>=4.40", "safetensors>=0.4"],
        "log": ["tensorboard>=2.16", "wandb>=0.17"],  # the viewer of event files, and Weights & Biases
        "hdf5": ["h5py>=3.9"],
        "probe": ["mir_eval>=0.7", "torchaudio>=2.6"],  # torchaudio: VocalSet's silence is trimmed as MARBLE does
        "scores": ["music21>=9", "pyfluidsynth>=1.3"],  # examples/ablation/render.py; FluidSynth itself is the system's
        "explore": ["seaborn>=0.13"],  # preprocess/explore_fma.py
        "nnaudio": ["nnAudio>=0.3.3"],  # the reference of the CQT: CQTTeacher(backend="nnaudio")
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "h5py>=3.9",
            "nnAudio>=0.3.3",
            "seaborn>=0.13",
            "torchmetrics>=1.4",
            "madmom-infer>=0.2",
            "openunmix>=1.3",  # the reference of the Wiener filter; 40 kB
            "ruff>=0.6",
            "mypy>=1.10",
            "types-PyYAML",
        ],
    },
)
