"""Made-up lists of the true size and form: the rules of the splits end in the published sizes."""

import csv
import json
from collections import Counter
from itertools import count, islice

import numpy as np
import pytest

from mert_fairseq.probing.probe_data import plain_name, sha1_number
from mert_fairseq.probing.tasks import find_task
from mert_fairseq.probing.tasks.magnatagatune import CORRUPT
from mert_fairseq.probing.tasks.musdb18 import SOURCES, VALIDATION
from mert_fairseq.probing.tasks.nsynth import FAMILIES
from mert_fairseq.probing.tasks.vocalset import split_groups

SPLITS = ("train", "valid", "test")


def write_table(path, header, rows, delimiter="\t"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])


def names_where(condition, wanted):
    """The first so many made-up names for which the rule says yes."""
    return list(islice((name for number in count() if condition(name := spelt(number))), wanted))


def spelt(number):
    """A name of letters: artists' digits are dropped by EmoMusic's rule."""
    return "artist " + "".join(chr(97 + int(digit)) for digit in str(number))


def test_magnatagatunes_two_splits(tmp_path):
    random = np.random.default_rng(0)
    sizes = {"0123456789ab": (18_706, 3_459), "c": (1_825, 296), "def": (5_329, 997)}
    corrupt, rows = sorted(CORRUPT), []
    for folders, (clips, untagged) in sizes.items():
        for number in range(clips):
            tags = np.zeros(188, int)
            # 50 frequent tags; the others are rarer, and untagged clips have only those
            tags[random.integers(50) if number >= untagged else 50 + random.integers(138)] = 1
            rows.append([f"{folders}{number}", *tags, f"{folders[number % len(folders)]}/song.mp3"])
    rows += [[clip, *np.zeros(188, int), "0/song.mp3"] for clip in corrupt]
    write_table(tmp_path / "annotations_final.csv", ["clip_id", *(f"tag {n}" for n in range(188)), "mp3_path"], rows)
    assert len(rows) == 25_863
    for name in ("mtt", "mtt-tagged"):
        task = find_task(name)
        data = task.read(tmp_path)
        assert tuple(data.sizes.values()) == task.card.sizes
        assert task.is_published(data)
        assert set(data.left_out) == set(corrupt)


def test_giantsteps_songs(tmp_path):
    task, folder = find_task("giantsteps-key"), tmp_path / "giantsteps-mtg-key-dataset/annotations"
    artists = names_where(lambda name: sha1_number(name) % 116 < 100, 923)
    artists += names_where(lambda name: sha1_number(name) % 116 >= 100, 236)
    rows = [[str(track), "D# minor", "2"] for track in range(1_159)]
    rows += [[str(track), "C major / A minor" if track % 2 else "C major", "2" if track % 2 else "1"]
             for track in range(1_159, 1_486)]  # fmt: skip
    write_table(folder / "annotations.txt", ["ID", "MANUAL KEY", "C"], rows)
    credits = [[str(track), artists[track] if track < 1_159 else "nobody"] for track in range(1_486)]
    write_table(folder / "beatport_metadata.txt", ["ID", "ARTIST"], credits)
    keys = tmp_path / "giantsteps-key-dataset/annotations/key"
    keys.mkdir(parents=True)
    for number in range(604):
        (keys / f"{number}.LOFI.key").write_text("C minor")
    data = task.read(tmp_path)
    assert tuple(data.songs.values()) == task.card.sizes == (923, 236, 604)
    assert task.is_published(data)


def test_emomusics_songs(tmp_path):
    task = find_task("emomusic")
    artists = names_where(lambda name: sha1_number(plain_name(name)) % 10 < 8, 504)
    artists += names_where(lambda name: sha1_number(plain_name(name)) % 10 >= 8, 115)
    artists += ["anyone"] * 125
    songs = [[n, artist, "t", "evaluation" if n >= 619 else "development"] for n, artist in enumerate(artists)]
    write_table(tmp_path / "songs_info.csv", ["song_id", "Artist", "Song title", "Mediaeval 2013 set"], songs, ",")
    means = [[n, 1 + n % 9, 1, 9 - n % 7, 1] for n in range(744)]
    header = ["song_id", "mean_arousal", "std_arousal", "mean_valence", "std_valence"]
    write_table(tmp_path / "static_annotations.csv", header, means, ",")
    data = task.read(tmp_path)
    assert tuple(data.sizes.values()) == task.card.sizes == (504, 115, 125)
    assert task.is_published(data)


def test_gtzans_filtered_lists(tmp_path):
    task = find_task("gtzan-genre")
    for split, size in zip(SPLITS, task.card.sizes, strict=True):
        start = {"train": 0, "valid": 450, "test": 650}[split]
        names = [f"blues/blues.{number:05d}.wav" for number in range(start, start + size)]
        (tmp_path / f"{split}_filtered.txt").write_text("\n".join(names) + "\n")
    data = task.read(tmp_path)
    assert tuple(data.sizes.values()) == (443, 197, 290)
    assert task.is_published(data)
    (tmp_path / "test_filtered.txt").write_text("blues/blues.00990.wav\n")
    assert not task.is_published(task.read(tmp_path))


@pytest.mark.parametrize(("subset", "tags"), [("genre", 87), ("instrument", 40), ("moodtheme", 56), ("top50tags", 50)])
def test_mtg_jamendos_split_0(tmp_path, subset, tags):
    task = find_task(f"mtg-{subset.removesuffix('tags')}")
    start = 0
    for word, size in zip(("train", "validation", "test"), task.card.sizes, strict=True):
        rows = [
            [f"track_{n:07d}", f"artist_{n % 3000:06d}", f"album_{n % 9000:06d}", f"{n % 100:02d}/{n}.mp3", "215.0"]
            + [f"{subset}---{tag}" for tag in {n % tags, 7 * n % tags}]
            for n in range(start, start + size)
        ]
        header = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
        write_table(tmp_path / f"data/splits/split-0/autotagging_{subset}-{word}.tsv", header, rows)
        start += size
    data = task.read(tmp_path)
    assert tuple(data.sizes.values()) == task.card.sizes
    assert len(data.names) == tags
    assert task.is_published(data)
    # one clip fewer is another data set
    shorter = tmp_path / f"data/splits/split-0/autotagging_{subset}-test.tsv"
    shorter.write_text("".join(shorter.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    assert not task.is_published(task.read(tmp_path))


def test_nsynths_notes(tmp_path):
    sizes = (289_205, 12_678, 4_096)
    for split, size in zip(SPLITS, sizes, strict=True):
        notes = {
            f"{split}_{number:06d}": {"pitch": number % 128, "instrument_family_str": FAMILIES[number % 11]}
            for number in range(size)
        }
        (tmp_path / f"nsynth-{split}").mkdir()
        (tmp_path / f"nsynth-{split}/examples.json").write_text(json.dumps(notes))
    for name in ("nsynth-instrument", "nsynth-pitch"):
        task = find_task(name)
        data = task.read(tmp_path)
        assert tuple(data.sizes.values()) == sizes
        assert task.is_published(data)


def test_musdb18s_songs(tmp_path):
    assert len(VALIDATION) == 14
    songs = {"train": [*VALIDATION, *(f"Band - Song {n}" for n in range(86))], "test": [f"Test {n}" for n in range(50)]}
    for part, names in songs.items():
        for name in names:
            (tmp_path / part / name).mkdir(parents=True)
            for source in SOURCES:
                (tmp_path / part / name / f"{source}.wav").touch()
    task = find_task("musdb18")
    data = task.read(tmp_path)
    assert tuple(data.sizes.values()) == task.card.sizes == (86, 14, 50)
    assert {clip.id for clip in data.parts["valid"]} == VALIDATION
    assert task.is_published(data)


def test_vocalsets_groups_are_split_60_to_40_and_12_to_8_to_5():
    # 100 files in the longest technique folder; file i of each folder is group i
    where = split_groups({"technique": list(range(100)), "singer": [*range(100), *range(40)]})
    counts = {what: Counter(found.values()) for what, found in where.items()}
    assert counts == {"technique": {"train": 60, "valid": 40}, "singer": {"train": 48, "valid": 32, "test": 20}}
