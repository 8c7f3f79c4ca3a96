"""The layers: imports point down, and what needs no torch or fairseq imports none."""

import ast
import re
from pathlib import Path

LEVELS = [
    {"arguments", "frames", "options", "files"},
    {"archives", "reporting", "jobs"},
    {"audio", "labels", "fma", "recipes"},
    {"manifest"},
    {"preprocessing", "sharding", "teachers", "modules", "optimizers", "checkpointing"},
    {"data", "models", "label_extraction"},
    {"distributed"},
    {"tasks", "criterions"},
    {"genre", "running"},
    {"extraction"},
    {"hf", "probing"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
WITHOUT_TORCH = {
    "arguments",
    "frames",
    "options",
    "files",
    "archives",
    "audio",
    "labels",
    "manifest",
    "sharding",
    "preprocessing",
    "jobs",
    "fma",
    "reporting",
}
WITHOUT_FAIRSEQ = WITHOUT_TORCH | {"teachers", "label_extraction"}


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _parts(root: Path):
    for file in sorted((root / "mert_fairseq").rglob("*.py")):
        relative = file.relative_to(root / "mert_fairseq")
        if str(relative) not in ("__init__.py", "data/fma_features.py"):  # the latter is an old name of genre's
            yield file, relative.parts[0].removesuffix(".py"), _imports(file)


def test_every_module_has_a_level(repo_root):
    assert {part for _, part, _ in _parts(repo_root)} <= LEVEL.keys()


def test_imports_point_down(repo_root):
    upward = [
        f"{file}: {name}"
        for file, part, imports in _parts(repo_root)
        for name in imports
        if (match := re.match(r"mert_fairseq\.(\w+)", name)) and match[1] in LEVEL
        if match[1] != part and LEVEL[match[1]] >= LEVEL[part]
    ]
    assert not upward


def test_data_tools_need_neither_torch_nor_fairseq(repo_root):
    for file, part, imports in _parts(repo_root):
        banned = {"torch", "torchaudio"} if part in WITHOUT_TORCH else set()
        banned |= {"fairseq"} if part in WITHOUT_FAIRSEQ else set()
        assert not banned & {name.split(".")[0] for name in imports}, file


def test_no_source_evaluates_strings_or_swallows_every_error(repo_root):
    for file in [*(repo_root / "mert_fairseq").rglob("*.py"), *(repo_root / "preprocess").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("eval", "exec")), file
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), file


def test_contributing_lists_these_levels(repo_root):
    text = (repo_root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "\n".join("    " + " ".join(sorted(level)) for level in reversed(LEVELS)) in text
