"""mert-config finds the recipes, in a checkout and in an installed package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mert_fairseq import recipes


def test_it_prints_the_recipes_of_a_checkout(repo_root, capsys):
    assert recipes.main(["pretrain"]) == 0
    assert Path(capsys.readouterr().out.strip()) == repo_root / "config/pretrain"
    assert recipes.main(["genre", "--list"]) == 0
    assert capsys.readouterr().out.split() == ["fma_features", "mert_finetune"]


def test_an_installation_without_recipes_says_where_it_looked(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(recipes, "__file__", str(tmp_path / "mert_fairseq/recipes.py"))
    assert recipes.main([]) == 1
    assert f"found neither {tmp_path}/mert_fairseq/config/pretrain nor {tmp_path}/config" in capsys.readouterr().err


@pytest.mark.slow
def test_a_wheel_holds_recipes_and_scripts(repo_root, tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "demo", "exp", "data")
    shutil.copytree(repo_root, source, symlinks=True, ignore=ignored)
    shutil.copytree(repo_root / "mert_fairseq/data", source / "mert_fairseq/data", dirs_exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    installed = tmp_path / "installed"
    install = [*pip, "install", "-q", "--no-deps", "--target", str(installed), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    for command in (["-m", "mert_fairseq.recipes"], ["-m", "mert_fairseq.preprocess.make_manifest", "--help"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout
    for file in ("pretrain/tiny.yaml", "pretrain/size/tiny.yaml", "genre/job/ranks.yaml"):
        assert (installed / "mert_fairseq/config" / file).is_file(), file
