"""Made-up lists of the true size and form: the rules of the splits end in the published sizes."""

import csv
from itertools import count, islice

import numpy as np

from mert_fairseq.probing.probe_data import plain_name, sha1_number
from mert_fairseq.probing.tasks import find_task
from mert_fairseq.probing.tasks.magnatagatune import CORRUPT

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
