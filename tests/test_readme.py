"""The README's Python runs as it stands."""

import re

import numpy as np
import soundfile
from tiny_checkpoint import write_checkpoint


def test_the_readme_s_python_gives_features_of_a_checkpoint(repo_root, tmp_path, monkeypatch):
    section = (repo_root / "README.md").read_text(encoding="utf-8").partition("## Use a checkpoint\n")[2]
    code = "\n".join(line[4:] for line in re.match(r"\n((?:    .*\n|\n)+)", section)[1].splitlines())
    checkpoint, music = re.findall(r'"(demo/.*?)"', code)
    write_checkpoint(tmp_path / checkpoint)
    (tmp_path / music).parent.mkdir(parents=True)
    soundfile.write(tmp_path / music, np.sin(np.arange(144_000) / 20), 24_000)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["features"].shape == (449, 16)  # 6 s
