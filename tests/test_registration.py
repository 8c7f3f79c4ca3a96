"""What ``import mert_fairseq`` brings along, in a fresh interpreter and in whatever order."""

import ast
import subprocess
import sys

import pytest

ABOVE = {"probing", "hf"}  # no module that is registered imports these
REGISTERED = """
import sys
from fairseq.models import MODEL_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_REGISTRY
assert "mert" in MODEL_REGISTRY
assert "mert_pretraining" in TASK_REGISTRY
assert {"fma_genre", "genre_audio"} <= set(TASK_REGISTRY)
assert {"fma_feature_transformer", "mert_genre"} <= set(MODEL_REGISTRY)
assert {"mert", "genre_cross_entropy"} <= set(REGISTRIES["criterion"]["registry"])
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_alone_imports_neither_fairseq_nor_torch():
    _run("import mert_fairseq, sys; assert not {'fairseq', 'torch'} & set(sys.modules)")


@pytest.mark.parametrize(
    "first",
    ["mert_fairseq", "mert_fairseq.modules.attention", "mert_fairseq.optimizers", "mert_fairseq.genre.audio.task"],
)
def test_registers_if_fairseq_is_imported_later(first):
    _run(f"import {first}\n{REGISTERED}")


def test_packages_import_fairseq_before_their_modules(repo_root):
    """Registration happens at the end of fairseq's import: no module of ours may be half imported then."""
    late = []
    for package in sorted((repo_root / "mert_fairseq").iterdir()):
        if package.name in ABOVE:
            continue
        trees = {file: ast.parse(file.read_text()) for file in package.glob("*.py")}
        if any(_imports_fairseq(node) for tree in trees.values() for node in tree.body):
            body = trees[package / "__init__.py"].body
            statements = [inner for node in body for inner in (node.body if isinstance(node, ast.With) else [node])]
            imports = [node for node in statements if _imports_fairseq(node) or _imports_ours(node)]
            if not (imports and _imports_fairseq(imports[0])):
                late.append(package.name)
    assert late == []


def _imports_ours(node: ast.stmt) -> bool:
    """Whether a module of ours is imported that could itself import fairseq; jobs/ cannot."""
    module = node.module if isinstance(node, ast.ImportFrom) else None
    return bool(module) and module.startswith("mert_fairseq") and not module.startswith("mert_fairseq.jobs")


def _imports_fairseq(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] == "fairseq"
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "fairseq" for alias in node.names)
