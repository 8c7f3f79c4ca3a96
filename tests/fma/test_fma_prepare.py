"""From FMA's tables and audio to manifests, genre labels and rejects."""

import csv
import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fma_tree import FMATree, build_fma_tree

from mert_fairseq import audio
from mert_fairseq.fma import FMA, audio_path, parse_licence, track_id_of
from mert_fairseq.labels import LabelDictionary, TextLabels
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing import Limits, NoTracksError, Progress, Settings
from mert_fairseq.preprocessing.fma_pipeline import plan_fma, prepare_fma
from mert_fairseq.preprocessing.fma_selection import Choice

SPLITS = {"train": "training", "valid": "validation", "test": "test"}
KNOWN_BAD = "known_bad"
REASONS = {  # of each bad file of the tree; the known-bad ones are not even opened
    **dict.fromkeys((99134, 108925, 133297, 98565, 98567, 98569, 1486), KNOWN_BAD),
    151001: "empty",
    151002: "wrong_extension",
    151003: "truncated",
    151004: "silent",
    151005: "clipped",
    151006: "wrong_extension",
    151007: "missing",
    151008: "too_short",
    151009: "duplicate",
}


def settings_of(tree: FMATree, out_dir: Path) -> Settings:
    return Settings(tree.audio_dir, convert_to=out_dir / "audio", limits=Limits(min_seconds=1.0))


def prepare(tree: FMATree, out_dir: Path, workers: int = 1, **choice: object):
    return prepare_fma(FMA(tree.metadata_dir), out_dir, settings_of(tree, out_dir), Choice(**choice), workers)


@pytest.fixture(scope="module")
def prepared(fma_tree: FMATree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = tmp_path_factory.mktemp("prepared")
    prepare(fma_tree, out_dir, workers=2)
    return out_dir


def rejects_of(out_dir: Path, table: str = "rejects.tsv") -> dict[int, tuple[str, str]]:
    rows = list(csv.reader((out_dir / table).open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["path", "reason", "detail"]
    return {track_id_of(path): (reason, detail) for path, reason, detail in rows[1:]}


def ids_of(manifest: Manifest) -> list[int]:
    return [track_id_of(path) for path in manifest.paths]


def test_every_bad_file_is_rejected_for_what_is_wrong_with_it(prepared: Path):
    assert {track_id: reason for track_id, (reason, _) in rejects_of(prepared).items()} == REASONS


def test_tracks_go_to_their_official_split(prepared: Path, fma_tree: FMATree):
    taken = set()
    for split, official in SPLITS.items():
        ids = ids_of(Manifest.read(prepared / f"{split}.tsv"))
        assert set(fma_tree.tracks["set", "split"][ids]) == {official}
        taken.update(ids)
    small = fma_tree.tracks.index[fma_tree.tracks["set", "subset"] == "small"]
    assert taken == set(small) - set(REASONS)
    assert len(taken) == 24


def test_audio_is_mono_at_the_training_rate_and_as_long_as_the_manifest_says(prepared: Path):
    for split in SPLITS:
        manifest = Manifest.read(prepared / f"{split}.tsv")
        assert manifest.sample_rate == 24_000
        for place in range(len(manifest)):
            info = audio.probe(manifest.audio_path(place))
            assert info == (24_000, manifest.samples[place], 1, "FLAC/PCM_16")
            assert info.samples == 36_000  # 1.5 s


def test_genre_labels_are_those_of_the_tracks_in_the_order_of_the_manifest(prepared: Path, fma_tree: FMATree):
    fma = FMA(fma_tree.metadata_dir)
    for split in SPLITS:
        tracks = fma.tracks.loc[ids_of(Manifest.read(prepared / f"{split}.tsv"))]["track"]
        tops = TextLabels(prepared / "genres" / f"{split}.genre_top", "genre_top")
        assert [fma.tree.titles[int(tops.codes(place, 0, 1)[0, 0])] for place in range(len(tracks))] == tracks[
            "genre_top"
        ].tolist()
        for label in ("genres", "genres_all"):
            lines = (prepared / "genres" / f"{split}.{label}").read_text().splitlines()
            assert [[int(genre) for genre in line.split()] for line in lines] == tracks[label].tolist()


def test_genre_dictionaries_hold_all_genres_of_the_subset_and_their_counts(prepared: Path, fma_tree: FMATree):
    fma = FMA(fma_tree.metadata_dir)
    top = LabelDictionary.read(prepared / "genres" / "dict.genre_top.txt")
    assert [fma.tree.titles[int(symbol)] for symbol in top.symbols] == [
        "International",
        "Pop",
        "Rock",
        "Electronic",
        "Folk",
        "Hip-Hop",
        "Experimental",
        "Instrumental",
    ]
    assert sum(top.counts) == 24
    every = LabelDictionary.read(prepared / "genres" / "dict.genres_all.txt")
    text = " ".join((prepared / "genres" / f"{split}.genres_all").read_text() for split in SPLITS)
    found = Counter(text.split())
    assert {symbol: count for symbol, count in zip(every.symbols, every.counts, strict=True) if count} == found


def test_genre_ids_are_explained_in_the_folder_of_the_labels(prepared: Path):
    rows = [line.split("\t") for line in (prepared / "genres" / "genres.tsv").read_text().splitlines()]
    assert rows[0] == ["genre_id", "title", "root", "path"]
    assert ["109", "Hardcore", "12", "Rock > Punk > Hardcore"] in rows


def test_every_track_is_attributed_to_its_artist_and_licence(prepared: Path, fma_tree: FMATree):
    rows = [line.split("\t") for line in (prepared / "attribution.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 25
    tracks = FMA(fma_tree.metadata_dir).tracks
    for _, path, track_id, title, artist, _, licence, text in rows[1:]:
        row = tracks.loc[int(track_id)]
        assert track_id_of(path) == int(track_id)
        assert artist == row["artist", "name"]
        assert title.replace("\\t", "\t") == row["track", "title"]
        assert licence == parse_licence(row["track", "license"]).code
        assert text == row["track", "license"] or text == ""


def test_equal_audio_stays_in_the_split_that_is_tested_on(prepared: Path, fma_tree: FMATree):
    ((copy, original),) = fma_tree.duplicates.items()
    split = fma_tree.tracks["set", "split"]
    assert (split[copy], split[original]) == ("training", "test")
    assert original in ids_of(Manifest.read(prepared / "test.tsv"))
    assert rejects_of(prepared)[copy][1] == f"the same audio as {audio_path(original)} of test"


def test_duplicates_known_bad_files_and_splits_are_the_users_choice(fma_tree: FMATree, tmp_path: Path):
    prepare(fma_tree, tmp_path, keep_duplicates=True, keep_known_bad=True, splits=("training",))
    rejects = rejects_of(tmp_path)
    copy = next(iter(fma_tree.duplicates))
    train = ids_of(Manifest.read(tmp_path / "train.tsv"))
    assert copy in train
    assert not (tmp_path / "valid.tsv").exists()
    assert not (tmp_path / "test.tsv").exists()
    bad = {track: kind for track, kind in fma_tree.bad.items() if fma_tree.tracks["set", "split"][track] == "training"}
    assert set(rejects) == {track for track, kind in bad.items() if kind != "wrong_cut"}
    found = {kind: rejects[track][0] for track, kind in bad.items() if track in rejects}
    assert found["tag_only"] == "undecodable"
    assert found["noise_bytes"] == "undecodable"
    assert found["empty"] == "empty"
    assert 1486 in train  # three quarters of a clip sound right: only the list knows better


def test_a_track_whose_licence_does_not_meet_the_conditions_is_rejected(fma_tree: FMATree, tmp_path: Path):
    prepare(fma_tree, tmp_path, require=("derivatives", "commercial"))
    tracks = FMA(fma_tree.metadata_dir).tracks
    rejects = rejects_of(tmp_path)
    for split in SPLITS:
        path = tmp_path / f"{split}.tsv"
        for track_id in ids_of(Manifest.read(path)) if path.exists() else ():
            licence = parse_licence(tracks.loc[track_id, ("track", "license")])
            assert (licence.derivatives, licence.commercial) == (True, True)
    details = [detail for reason, detail in rejects.values() if reason == "licence"]
    assert len(details) > 5
    assert all(detail.startswith("licence ") and "does not allow" in detail for detail in details)


def test_tracks_of_the_subset_without_a_file_are_named(fma_tree: FMATree, tmp_path: Path):
    plan = plan_fma(FMA(fma_tree.metadata_dir), tmp_path, settings_of(fma_tree, tmp_path), Choice("medium"))
    assert plan.counts() == {"to examine": 32, "known_bad": 7, "missing": 9, "of other subsets": 0}
    assert not list(tmp_path.glob("*.tsv.json"))
    assert sum(reason == "missing" for reason, _ in rejects_of(tmp_path, "planned_rejects.tsv").values()) == 9


def test_files_that_are_no_tracks_and_second_files_are_named(fma_tree: FMATree, tmp_path: Path):
    folder = tmp_path / "fma_small"
    folder.mkdir()
    good = next(track for track in fma_tree.tracks.index if track not in REASONS)
    taken = str(audio_path(good))
    for name in (taken, f"again/{good:06d}.mp3", "cover.mp3", "999/999999.mp3"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(fma_tree.audio_dir / taken, folder / name)
    tree = fma_tree._replace(audio_dir=folder)
    plan_fma(FMA(tree.metadata_dir), tmp_path / "out", settings_of(tree, tmp_path / "out"), Choice())
    lines = (tmp_path / "out" / "planned_rejects.tsv").read_text().splitlines()
    assert "cover.mp3\tnot_in_tables\tno track of tracks.csv has this name" in lines
    assert "999/999999.mp3\tnot_in_tables\tno track of tracks.csv has this name" in lines
    assert f"again/{good:06d}.mp3\tduplicate\ta second file of track {good}; {taken} is used" in lines


def test_neither_a_plan_nor_a_failed_run_changes_the_rejects_of_the_previous_run(fma_tree: FMATree, tmp_path: Path):
    rejects = tmp_path / "rejects.tsv"
    rejects.write_text("of the run before\n")
    fma, settings = FMA(fma_tree.metadata_dir), settings_of(fma_tree, tmp_path)
    plan_fma(fma, tmp_path, settings, Choice())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["planned_rejects.tsv", "rejects.tsv"]
    settings.convert_to.mkdir()
    (settings.convert_to / ".owner.json").write_text('{"audio_dir": "/elsewhere", "sample_rate": 24000}\n')
    with pytest.raises(ValueError, match="holds the converted files of .*elsewhere"):
        prepare_fma(fma, tmp_path, settings)
    assert rejects.read_text() == "of the run before\n"


def test_a_folder_of_flac_is_accepted(tmp_path: Path):
    tree = build_fma_tree(
        tmp_path, per_genre=2, medium_extra=0, large_extra=0, bad=False, audio_format="flac", clip_seconds=1.0
    )
    summary = prepare(tree, tmp_path / "out")
    assert sum(summary.tracks.values()) == 16
    assert summary.rejects == {}


def test_tracks_of_several_roots_get_an_empty_line(fma_tree: FMATree, tmp_path: Path):
    tree = build_fma_tree(tmp_path, per_genre=1, medium_extra=0, large_extra=6, bad=False, audio_subset="large")
    summary = prepare(tree, tmp_path / "out", subset="large", archive="large")
    assert summary.without_top_genre == 3
    lines = [line for split in summary.tracks for line in (tmp_path / f"out/genres/{split}.genre_top").open()]
    assert lines.count("\n") == 3
    assert len(lines) == 14


def files_of(out_dir: Path) -> dict[str, bytes]:
    """All that a run wrote; the folder's own name, which manifests and the journal hold, left out."""
    here = str(out_dir).encode()
    return {
        str(path.relative_to(out_dir)): path.read_bytes().replace(here, b"OUT")
        for path in out_dir.rglob("*")
        if path.is_file()
    }


def test_the_number_of_workers_changes_no_byte(prepared: Path, fma_tree: FMATree, tmp_path: Path):
    prepare(fma_tree, tmp_path, workers=1)
    assert files_of(tmp_path) == files_of(prepared)


def test_an_interrupted_run_continues_and_ends_with_the_same_bytes(prepared: Path, fma_tree: FMATree, tmp_path: Path):
    def interrupt(progress: Progress) -> None:
        if progress.files >= 12:
            raise KeyboardInterrupt

    fma, settings = FMA(fma_tree.metadata_dir), settings_of(fma_tree, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        prepare_fma(fma, tmp_path, settings, Choice(), 1, interrupt)
    assert not (tmp_path / "train.tsv").exists()
    summary = prepare_fma(fma, tmp_path, settings, Choice())
    assert summary.resumed == 12
    assert files_of(tmp_path) == files_of(prepared)


def test_a_folder_without_tracks_says_what_was_expected(fma_tree: FMATree, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    tree = fma_tree._replace(audio_dir=tmp_path / "empty")
    with pytest.raises(NoTracksError, match=r"no track is left: 33 missing .*Expected files such as 000/000002.mp3"):
        prepare(tree, tmp_path / "out")


@pytest.fixture
def command(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_fma_command", repo_root / "preprocess" / "prepare_fma.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_plans_prepares_and_counts(command, fma_tree, tmp_path: Path, capsys: pytest.CaptureFixture):
    arguments = [str(fma_tree.metadata_dir), str(fma_tree.audio_dir), str(tmp_path), "--min-seconds", "1", "--json"]
    assert command.main([*arguments, "--plan-only"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "to examine": 32,
        "known_bad": 7,
        "missing": 1,
        "of other subsets": 0,
    }
    assert command.main([*arguments, "--workers", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(found["tracks"].values()) == 24
    assert found["rejects"][KNOWN_BAD] == 7
    wave = audio.read_span(Manifest.read(tmp_path / "train.tsv").audio_path(0))
    assert np.abs(wave).max() > 1000


def test_the_command_names_a_genre_that_the_tables_do_not_share(command, fma_tree, metadata_dir, tmp_path, capsys):
    path = metadata_dir / "genres.csv"
    path.write_bytes(path.read_bytes().replace(b"\n109,", b"\n110,"))
    assert command.main([str(metadata_dir), str(fma_tree.audio_dir), str(tmp_path / "out")]) == 1
    assert "prepare_fma: tracks.csv: track " in (error := capsys.readouterr().err)
    assert "has genre 109, which genres.csv lacks" in error
