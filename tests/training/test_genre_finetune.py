"""Fine-tuning a pretrained MERT on genres by the recipe: what it learns, what stays frozen, what a checkpoint holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from genre_music import GENRES, make_genre_music
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.genre.cli import main
from mert_fairseq.hf.export import export_hf
from mert_fairseq.hf.folder_content import NewHeads
from mert_fairseq.hf.import_folder import import_hf
from mert_fairseq.hf.model_card import Statement
from mert_fairseq.teachers.logmel import LogMelTeacher

ON_A_CPU = ["common.cpu=true", "common.fp16=false", "dataset.num_workers=0", "lr_scheduler.warmup_updates=20"]
CLIPS = ["task.max_sample_size=48000", "task.test_clips=2", "dataset.max_tokens=960000"]


@pytest.fixture(scope="module")
def run(repo_root):
    """Type fairseq-hydra-train with a recipe of config/; gives its save_dir."""

    def typed(config: str, save_dir: Path, *overrides: str) -> Path:
        folder, name = config.split("/")
        command = [
            str(Path(sys.executable).parent / "fairseq-hydra-train"),
            f"--config-dir={repo_root}/config/{folder}",
        ]
        command += [f"--config-name={name}", f"checkpoint.save_dir={save_dir}", *overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, cwd=repo_root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return save_dir

    return typed


@pytest.fixture(scope="module")
def pretrained(run, corpus_dir, tmp_path_factory):
    """A checkpoint that config/pretrain/tiny.yaml leaves after 20 updates."""
    folder = tmp_path_factory.mktemp("pretrained")
    short = ["optimization.max_update=20", "lr_scheduler.warmup_updates=2", "dataset.max_tokens=96000"]
    run("pretrain/tiny", folder, f"task.data={corpus_dir}", "task.labels=[rvq_0,rvq_1]", *short)
    return folder / "checkpoint_last.pt"


def history(save_dir: Path) -> dict[str, list[float]]:
    return json.loads((save_dir / "history.json").read_text())


@pytest.mark.slow
def test_a_frozen_mert_stays_bit_for_bit_and_a_seed_gives_the_same_result_twice(run, pretrained, tmp_path):
    music = make_genre_music(tmp_path / "music", {"train": 8, "valid": 2}, seconds=2.0)
    options = [*ON_A_CPU, *CLIPS, f"task.data={music}", f"model.checkpoint={pretrained}", "optimization.max_update=4"]
    frozen = [*options, "model.finetune_layers=0"]
    first, again, other = (
        read_checkpoint(
            run("genre/mert_finetune", tmp_path / name, *frozen, f"common.seed={seed}") / "checkpoint_last.pt"
        )
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert history(tmp_path / "first") == history(tmp_path / "again") != history(tmp_path / "other")
    before = read_checkpoint(pretrained)["model"]
    kept = [name for name in first["model"] if name.startswith("mert.")]
    assert len(kept) > 40
    for name in kept:
        assert torch.equal(first["model"][name], before[name.removeprefix("mert.")]), name
    for name, value in first["model"].items():
        assert torch.equal(value, again["model"][name]), name
    assert not torch.equal(first["model"]["head.1.weight"], other["model"]["head.1.weight"])


@pytest.mark.slow
def test_an_imported_checkpoint_fine_tunes_like_the_one_it_was_exported_from(run, pretrained, tmp_path):
    export_hf(pretrained, tmp_path / "folder", "hubert", Statement("tiny"), heads=True)
    import_hf(tmp_path / "folder", tmp_path / "imported.pt", NewHeads())
    music = make_genre_music(tmp_path / "music", {"train": 8, "valid": 2}, seconds=2.0)
    options = [*ON_A_CPU, *CLIPS, f"task.data={music}", "optimization.max_update=3", "lr_scheduler.warmup_updates=0"]
    original, imported = (
        run("genre/mert_finetune", tmp_path / path.stem, *options, f"model.checkpoint={path}")
        for path in (pretrained, tmp_path / "imported.pt")
    )
    assert history(original) == history(imported)
    weights = [read_checkpoint(folder / "checkpoint_last.pt")["model"] for folder in (original, imported)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    before = read_checkpoint(pretrained)["model"]
    name = "encoder.layers.0.fc1.weight"
    assert not torch.equal(weights[0][f"mert.{name}"], before[name])  # the encoder is tuned, too


def logistic_regression(music: Path) -> float:
    """Test accuracy of scikit-learn's logistic regression on the mean log-mel spectrum of each track."""
    teacher = LogMelTeacher(sample_rate=24_000, hop_samples=320)
    features, genres = {}, {}
    for split in ("train", "test"):
        rows = (music / f"{split}.tsv").read_text().splitlines()[1:]
        waves = [soundfile.read(music / "audio" / row.split("\t")[0], dtype="float32")[0] for row in rows]
        features[split] = np.stack([teacher(torch.from_numpy(wave)[None])[0].mean(0).numpy() for wave in waves])
        genres[split] = (music / "genres" / f"{split}.genre_top").read_text().split()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(features["train"], genres["train"]).score(features["test"], genres["test"])


@pytest.mark.slow
def test_a_fine_tuned_mert_hears_what_the_mean_spectrum_hides(run, pretrained, tmp_path, capsys):
    music = make_genre_music(tmp_path / "music", {"train": 40, "valid": 10, "test": 15})
    length = ["optimization.max_update=240", "dataset.validate_interval=3"]
    rates = ["model.encoder_lr_scale=1", "model.layer_lr_decay=1"]  # 20 updates of pretraining are hardly a start
    data = [f"task.data={music}", f"model.checkpoint={pretrained}"]
    run("genre/mert_finetune", tmp_path / "exp", *ON_A_CPU, *CLIPS, *length, *rates, *data)

    pretrained.rename(tmp_path / "elsewhere.pt")  # the fine-tuned checkpoint needs no other
    try:
        checkpoint = str(tmp_path / "exp/checkpoint_best.pt")
        assert main(["report", checkpoint, "--out", str(tmp_path / "report"), "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)
        song = music / "audio/test_17_000.wav"
        assert main(["predict", checkpoint, str(song), "--top", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["genres"][0]["genre"] in GENRES.values()
    finally:
        (tmp_path / "elsewhere.pt").rename(pretrained)
    assert scores["majority"] == 0.25
    assert scores["accuracy"] >= logistic_regression(music) + 0.2
    assert scores["accuracy"] >= 0.8
    assert (tmp_path / "report/confusion.png").is_file()
