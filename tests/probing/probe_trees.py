"""Small folders of each data set's true shape: real names, headers and formats, sounds whose labels are true."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from fma_tree import build_fma_tree

from mert_fairseq.probing.objectives.keys import PITCH_CLASSES
from mert_fairseq.probing.tasks import gtzan, musdb18, nsynth, vocalset

SPLITS = ("train", "valid", "test")


def tone(path: Path, number: int, rate: int, seconds: float = 1.2, seed: int = 0, channels: int = 1) -> Path:
    """A chord that ``number`` decides, with a little noise; MP3, FLAC or WAV by the name."""
    random = np.random.default_rng([number, seed])
    time = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * 220 * 2 ** (number / 12) * k * time) / k for k in (1, 2, 3))
    wave = 0.2 * wave + 0.01 * random.standard_normal(len(time))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([wave] * channels, 1), rate)
    return path


def build_gtzan(root: Path, clips: int = 2) -> Path:
    """clips per genre and split; beats every half second from 0.25 s on, a downbeat every fourth."""
    for place, split in enumerate(SPLITS):
        names = []
        for number, genre in enumerate(gtzan.GENRES):
            for clip in range(clips):
                name = f"{genre}/{genre}.{place * 30 + clip:05d}.wav"
                tone(root / "genres" / name, number, 22_050, seconds=3.0, seed=clip)
                names.append(name)
                write_jams(root / "rhythm" / f"{Path(name).name}.jams", [0.25 + 0.5 * beat for beat in range(6)])
        (root / f"{split}_filtered.txt").write_text("\n".join(names) + "\n")
    return root


def write_jams(path: Path, beats: list[float]) -> None:
    """The annotations of GTZAN-Rhythm, as far as they are read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"beat": beats, "downbeat": beats[::4]}
    annotations = [
        {
            "namespace": "beat",
            "sandbox": {"annotation_type": kind},
            "data": [{"time": time, "duration": 0.0, "value": 1, "confidence": None} for time in times],
        }
        for kind, times in kinds.items()
    ]
    annotations.append({"namespace": "tempo", "sandbox": {}, "data": []})
    path.write_text(json.dumps({"annotations": annotations, "file_metadata": {}}))


def build_giantsteps(root: Path) -> Path:
    """Songs of 61 s with two windows of 30 s; one that is unsure and one with two keys are left out."""
    mtg, test = root / "giantsteps-mtg-key-dataset", root / "giantsteps-key-dataset"
    (mtg / "annotations").mkdir(parents=True)
    keys = ["C major", "D# minor", "G major", "A minor"]
    rows, artists = [], []
    for number in range(12):
        track = str(1000 + number)
        rows.append([track, keys[number % 4], "2"])
        artists.append([track, f"Artist {number}, Guest {number}"])
        tone(mtg / f"audio/{track}.LOFI.mp3", number % 4, 22_050, seconds=61.0 if number < 2 else 31.0, seed=number)
    rows += [["2000", "C major / A minor", "2"], ["2001", "C major", "1"]]
    _write_tsv(mtg / "annotations/annotations.txt", ["ID", "MANUAL KEY", "C"], rows)
    _write_tsv(mtg / "annotations/beatport_metadata.txt", ["ID", "ARTIST"], artists)
    for number in range(4):
        key = test / f"annotations/key/{3000 + number}.LOFI.key"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(keys[number] + "\n")
        tone(test / f"audio/{3000 + number}.LOFI.mp3", number, 22_050, seconds=31.0, seed=number)
    return root


def build_emomusic(root: Path) -> Path:
    """Twenty songs by twenty artists, the last four of the evaluation set."""
    root.mkdir(parents=True, exist_ok=True)
    songs = [["song_id", "Artist", "Song title", "Mediaeval 2013 set"]]
    means = [["song_id", "mean_arousal", "std_arousal", "mean_valence", "std_valence"]]
    for song in range(2, 22):
        songs.append([str(song), f" Band {chr(97 + song)}", "Song", "evaluation" if song > 17 else "development"])
        means.append([str(song), f"{1 + song / 4:.2f}", "1", f"{8 - song % 5:.2f}", "1"])
        tone(root / f"clips_45seconds/{song}.mp3", song, 44_100, seconds=6.0, seed=song)
    for name, rows in (("songs_info.csv", songs), ("static_annotations.csv", means)):
        with (root / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return root


def build_magnatagatune(root: Path) -> Path:
    """Two clips for each of the folders 0 to f, 188 tags of which 55 are used; one clip is known to be corrupt."""
    random = np.random.default_rng(0)
    tags = [f"tag {number}" for number in range(188)]
    rows = []
    for number in range(48):
        place = f"{number % 16:x}/song_{number}.mp3"
        has = ["1" if column < 55 and (number + column) % 3 == 0 else "0" for column in range(188)]
        if number == 20:
            has = ["0"] * 188
        clip = "35644" if number == 7 else str(number)
        rows.append([clip, *has, place])
        if clip != "35644":
            tone(root / "mp3" / place, int(random.integers(24)), 16_000, seed=number)
    _write_tsv(root / "annotations_final.csv", ["clip_id", *tags, "mp3_path"], rows, quoted=True)
    return root


def build_mtg_jamendo(root: Path) -> Path:
    """All four subsets over the same twelve tracks."""
    for subset in ("genre", "instrument", "moodtheme", "top50tags"):
        for place, word in enumerate(("train", "validation", "test")):
            rows = []
            for number in range(4):
                track = place * 4 + number
                tags = [f"genre---{name}" for index, name in enumerate("abc") if (number + index) % 2]
                rows.append([f"track_{track:07d}", "artist_1", "album_1", f"{track:02d}/{track}.mp3", "35.0", *tags])
                path = root / f"audio-low/{track:02d}/{track}.low.mp3"
                if not path.exists():
                    tone(path, number, 44_100, seconds=32.5 if track == 0 else 2.5, seed=track)
            header = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
            _write_tsv(root / f"data/splits/split-0/autotagging_{subset}-{word}.tsv", header, rows)
    return root


def build_nsynth(root: Path) -> Path:
    """Two notes of each family and split, 4 s at 16 kHz."""
    for split in SPLITS:
        notes = {}
        for number, family in enumerate(nsynth.FAMILIES):
            for note in range(2):
                key = f"{family}_{split}_000-{60 + number:03d}-{note:03d}"
                notes[key] = {"pitch": 60 + number, "instrument_family_str": family, "velocity": 100}
                tone(root / f"nsynth-{split}/audio/{key}.wav", number, 16_000, seconds=4.0, seed=note)
        (root / f"nsynth-{split}/examples.json").write_text(json.dumps(notes))
    return root


def build_vocalset(root: Path) -> Path:
    """Each technique sung by six of the twenty singers, among them f3, whose belt lacks the singer in its name."""
    for number, technique in enumerate(vocalset.FOLDERS):
        random = np.random.default_rng(number)
        for singer in {"f3", *random.choice(vocalset.SINGERS, 6, replace=False)}:
            folder = root / "FULL" / f"{'female' if singer[0] == 'f' else 'male'}{singer[1:]}" / "arpeggios" / technique
            name = f"arpeggios_{technique}" if (singer, technique) == ("f3", "belt") else f"{singer}_{technique}_c_a"
            sing(folder / f"{name}.wav", number, seed=int(singer[1:]))
    return root


def sing(path: Path, number: int, seed: int, rate: int = 44_100) -> None:
    """0.5 s of near silence, then 3.3 s of a voice with vibrato that swells three times per second."""
    time = np.arange(round(3.3 * rate)) / rate
    phase = 2 * np.pi * np.cumsum(220 * 2 ** (number / 12) * (1 + 0.02 * np.sin(2 * np.pi * 5 * time))) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 8)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time))
    wave = np.concatenate([np.zeros(rate // 2), 0.25 * voice])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave + 1e-4 * np.random.default_rng([number, seed]).standard_normal(len(wave)), rate)


def build_musdb18(root: Path) -> Path:
    """Three songs of train, two of them for validation by their names, and two of test."""
    names = [*sorted(musdb18.VALIDATION)[:2], "A - Song", "B - Song"]
    for part, songs in (("train", names), ("test", ["C - Song", "D - Song"])):
        for song in songs:
            for number, source in enumerate(musdb18.SOURCES):
                tone(root / part / song / f"{source}.wav", 5 * number, 44_100, seconds=7.0, seed=len(song), channels=2)
    return root


def build_fma(root: Path) -> Path:
    """Of the helper that the tests of FMA share."""
    root.mkdir(parents=True, exist_ok=True)
    build_fma_tree(root, per_genre=4, bad=False, audio_format="mp3", medium_extra=0, large_extra=0)
    return root


def build_rendered(root: Path) -> Path:
    """Folders key, notes, dance and composer with their manifests; each test clip of key has a changed copy."""
    for folder in ("key", "notes", "dance", "composer"):
        rows = []
        for number in range(18):
            kind = number % 3
            row = {"path": f"clip_{number}.wav", "split": SPLITS[number // 6], "duration": 1.2, "piece": str(number)}
            row |= {"key": f"{PITCH_CLASSES[kind]} major", "beats": [0.2, 0.6, 1.0], "downbeats": [0.2]}
            row |= {"chords": [[0.0, 0.9, f"{PITCH_CLASSES[kind]} major"]]}
            row |= {"pitch": 60 + kind, "family": ["bass", "flute", "reed"][kind]}
            row |= {"dance": ["jig", "reel", "hornpipe"][kind], "composer": ["bach", "haydn", "mozart"][kind]}
            rows.append(json.dumps(row))
            tone(root / folder / f"clip_{number}.wav", kind, 24_000, seed=number)
            if row["split"] == "test" and folder == "key":
                changed = row | {"path": f"noise_{number}.wav", "copy": "noise", "of": row["path"]}
                rows.append(json.dumps(changed))
                tone(root / folder / changed["path"], kind, 24_000, seed=number + 18)
        (root / folder / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    return root


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "gtzan": build_gtzan,
    "giantsteps": build_giantsteps,
    "emomusic": build_emomusic,
    "magnatagatune": build_magnatagatune,
    "mtg-jamendo": build_mtg_jamendo,
    "nsynth": build_nsynth,
    "vocalset": build_vocalset,
    "musdb18": build_musdb18,
    "fma": build_fma,
}


def _write_tsv(path: Path, header: list[str], rows: list[list[str]], quoted: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=quoting).writerows([header, *rows])
