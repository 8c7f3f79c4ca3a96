"""explore_fma.py says which extra is missing."""

import runpy
import sys


def test_a_missing_extra_is_named(repo_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "seaborn", None)
    for name in [name for name in sys.modules if name.startswith("mert_fairseq.fma.explore")]:
        monkeypatch.delitem(sys.modules, name)
    main = runpy.run_path(str(repo_root / "preprocess/explore_fma.py"))["main"]
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "need seaborn, which is not installed. pip install 'mert_fairseq[explore]'" in capsys.readouterr().err
