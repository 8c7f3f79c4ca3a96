"""Folders with characters that mean something to the shell, Hydra or OmegaConf, and scripts started through links."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

NAMES = (
    "plain", "My Music", "Music (2024)", "a=b", "rock,pop", "Bob's", 'say "hi"', "x[1]", "R&B", "a#b", "Größe", "50%",
    "a~b", "a@b", "a+b", "{x}", "a$b", "back\\slash", "back\\'", "ends\\", "''", "*?", "null", "a;b|c<d>", "~", "!x",
    "`x`", "1e5",
)  # fmt: skip
NASTY = "Bob's Größe, (2024) [x]=&#~{y} 50% a$b"


def typed(command: list[object], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = list(map(str, command))
    return subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def overrides_of(repo_root: Path, paths: list[str]) -> list[str]:
    script = f'. "{repo_root}/examples/stages.sh"; for path; do override task.data "$path"; done'
    return typed(["bash", "-euc", script, "run.sh", *paths]).stdout.splitlines()


def test_hydra_and_omegaconf_read_back_every_folder_that_the_examples_pass(repo_root: Path) -> None:
    paths = [f"/data/{name}/fma" for name in NAMES] + [f"/data/{name}" for name in NAMES]
    overrides = OverridesParser.create().parse_overrides(overrides_of(repo_root, paths))
    assert not any(override.is_sweep_override() for override in overrides)
    values = [override.value() for override in overrides]
    assert values == paths
    assert OmegaConf.to_container(OmegaConf.create({"data": values}), resolve=True) == {"data": paths}


@pytest.mark.parametrize("name", ["${x}", "a:b", "a\nb"])
def test_a_folder_that_nothing_can_quote_is_refused_by_name(repo_root: Path, tmp_path: Path, name: str) -> None:
    done = typed([repo_root / "examples/quickstart/run.sh", "--out", tmp_path / name])
    assert done.returncode == 2
    assert f"{tmp_path / name}" in done.stderr
    assert "rename the folder" in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("example", ["quickstart", "fma_small", "fma_genre"])
def test_an_example_starts_through_a_link_from_any_folder(repo_root: Path, tmp_path: Path, example: str) -> None:
    link = tmp_path / NASTY
    link.symlink_to(repo_root / "examples" / example / "run.sh")
    for options, message in ((["--help"], f"examples/{example}/run.sh"), (["--nope"], "unknown option --nope")):
        done = typed([link, *options], tmp_path)
        assert message in done.stdout + done.stderr


def test_a_stage_runs_through_a_link_to_the_folder_of_examples(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(repo_root / "examples")
    done = typed(["examples/fma_small/run.sh", "--stage", "2", "--stop-stage", "2", "--archives", NASTY], tmp_path)
    assert f"{tmp_path}/{NASTY}/fma_metadata.zip: no such file. Download it first" in done.stderr


def test_a_script_of_another_checkout_names_both(repo_root: Path, tmp_path: Path) -> None:
    other = tmp_path / NASTY
    (other / "mert_fairseq").mkdir(parents=True)
    (other / "mert_fairseq" / "__init__.py").touch()
    shutil.copytree(repo_root / "preprocess", other / "preprocess")
    script = other / "preprocess" / "make_manifest.py"
    done = typed([sys.executable, script, "--help"])
    assert done.returncode == 1
    assert f"{script} belongs to the checkout {other}, but Python imports mert_fairseq from {repo_root}" in done.stderr
    assert typed(["bash", "-c", f"printf %s {done.stderr.split('PYTHONPATH=')[1].strip()[:-1]}"]).stdout == str(other)


def test_every_script_compares_its_checkout_with_the_library(repo_root: Path) -> None:
    for script in (repo_root / "preprocess").glob("*.py"):
        assert "    check_checkout(__file__)\n    sys.exit(main())" in script.read_text(), script


def test_a_script_of_this_checkout_starts_through_a_link(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / NASTY).symlink_to(repo_root / "preprocess" / "make_manifest.py")
    assert typed([sys.executable, tmp_path / NASTY, "--help"], tmp_path).returncode == 0
