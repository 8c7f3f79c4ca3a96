"""mert-genre predict: the genres of audio files of any rate and format."""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq import utils
from tqdm import tqdm

from mert_fairseq.arguments import Help, positive_int
from mert_fairseq.audio import UNKNOWN_SAMPLES, AudioError, count_samples, probe, read_span, resample_blocks
from mert_fairseq.genre.audio.dataset import clip_starts, stack_clips
from mert_fairseq.genre.audio.task import SHORTEST_SAMPLES, GenreAudioTask
from mert_fairseq.genre.loading import Classifier, load_classifier
from mert_fairseq.preprocessing.signatures import CONTAINER_OF_EXTENSION

EXAMPLE = """examples:
  mert-genre predict exp/mert_finetune/checkpoint_best.pt song.mp3 album/
  mert-genre predict exp/mert_finetune/checkpoint_best.pt album/ --top 1 --json > genres.json"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    options = subparsers.add_parser(
        "predict",
        help="genres and their probabilities for audio files",
        description="Say what genre audio files are (mp3, ogg, opus, flac, wav and whatever else libsndfile reads, of "
        "any rate). Exit status: 0, or 1 if a file could not be read (the others are reported), a folder holds none, "
        "or the checkpoint is wrong.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("checkpoint", type=Path, help="of the task genre_audio, such as checkpoint_best.pt")
    options.add_argument("files", type=Path, nargs="+", metavar="file", help="audio files, or folders of them")
    options.add_argument("--top", type=positive_int, default=3, help="genres to report a file")
    options.add_argument(
        "--clips", type=positive_int, help="most clips a file, evenly spaced; default: as in its training's test"
    )
    options.add_argument("--json", action="store_true", help="print a JSON list, one object a file")
    options.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load, predict file by file, print."""
    paths = list(audio_files(arguments.files))
    classifier = load_audio_classifier(arguments.checkpoint)
    titles = classifier.task.vocabulary.titles
    results: list[dict[str, Any]] = []
    for path in tqdm(paths, unit="file", leave=False):
        try:
            probabilities = predict_file(classifier, path, arguments.clips)
        except AudioError as error:
            results.append({"path": str(path), "error": str(error)})
            continue
        best = np.argsort(-probabilities, kind="stable")[: arguments.top].tolist()
        genres = [{"genre": titles[place], "probability": round(float(probabilities[place]), 6)} for place in best]
        results.append({"path": str(path), "genres": genres})
    failed = [result["error"] for result in results if "error" in result]
    print(json.dumps(results, indent=1, ensure_ascii=False) if arguments.json else as_table(results))
    for message in failed:
        print(f"mert-genre: {message}", file=sys.stderr)
    return 1 if failed else 0


def load_audio_classifier(path: Path) -> Classifier:
    """Load a checkpoint that hears audio.

    Raises:
        FileNotFoundError, ValueError: if there is none, or it is one of another task.
    """
    classifier = load_classifier(path)
    if not isinstance(classifier.task, GenreAudioTask):
        raise ValueError(
            f"{path}: is a checkpoint of the task {classifier.cfg.task._name}, which does not take audio, expected "
            f"genre_audio (config/genre/mert_finetune.yaml)."
        )
    return classifier


def audio_files(paths: Iterable[Path]) -> Iterable[Path]:
    """The files themselves, and those in the folders, to any depth, whose name says that they are audio.

    Raises:
        FileNotFoundError: if a folder has none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        named = [file for file in path.rglob("*") if file.suffix.lower() in CONTAINER_OF_EXTENSION]
        if not (found := sorted(file for file in named if not file.is_dir())):
            raise FileNotFoundError(f"{path}: no audio file in it. Give files, or a folder of music.")
        yield from found


@torch.no_grad()
def predict_file(classifier: Classifier, path: Path, most_clips: int | None = None) -> np.ndarray:
    """Probabilities of the genres, (G,) float64, in the order of the vocabulary.

    Args:
        classifier: of the task genre_audio.
        path: an audio file.
        most_clips: task.test_clips if None.

    Raises:
        AudioError: if the file cannot be read, or is too short for the model.
    """
    model, task = classifier.model, classifier.task
    clips = read_clips(path, task.cfg.sample_rate, task.cfg.max_sample_size, most_clips or task.cfg.test_clips)
    net_input = stack_clips([clips])
    if next(model.parameters()).is_cuda:
        net_input = utils.move_to_cuda(net_input)
    return task.probabilities(model(**net_input))[0]


def read_clips(path: Path, sample_rate: int, clip_samples: int, most: int) -> list[np.ndarray]:
    """Evenly spaced clips of a file, mono, resampled: the spans alone are decoded.

    Args:
        path: of any rate and number of channels.
        sample_rate: to resample to, in Hz.
        clip_samples: longest clip, at that rate.
        most: clips; see `clip_starts`.

    Returns:
        Each (T,) float32.

    Raises:
        AudioError: if the file cannot be read, or is shorter than 800 samples at that rate.
    """
    if not path.is_file():
        raise AudioError(f"{path}: no such file. Correct its name.")
    info = probe(path)
    # the length in an MP3's header may be an estimate, and a FLAC from a pipe states none
    is_stated = not info.format.startswith("MP3") and info.samples != UNKNOWN_SAMPLES
    samples = info.samples if is_stated else count_samples(path)
    if samples * sample_rate < SHORTEST_SAMPLES * info.sample_rate:
        raise AudioError(
            f"{path}: found {samples / info.sample_rate:.3f} s of audio, expected at least "
            f"{SHORTEST_SAMPLES / sample_rate:.3f} s. Leave it out."
        )
    length = min(samples, math.ceil(clip_samples * info.sample_rate / sample_rate))
    spans = (read_span(path, start, length, dtype="float32") for start in clip_starts(samples, length, most))
    resampled = (np.concatenate(list(resample_blocks([span], info.sample_rate, sample_rate))) for span in spans)
    return [clip[:clip_samples] for clip in resampled]


def as_table(results: Sequence[dict[str, Any]]) -> str:
    """A line a genre, the file's name before the first."""
    width = max((len(result["path"]) for result in results), default=0)
    names = [genre["genre"] for result in results for genre in result.get("genres", [])]
    columns = max(map(len, names), default=0)
    lines = []
    for result in results:
        if "error" in result:
            lines.append(f"{result['path']:<{width}}  cannot be read")
        for place, genre in enumerate(result.get("genres", [])):
            name = "" if place else result["path"]
            lines.append(f"{name:<{width}}  {genre['genre']:<{columns}}  {100 * genre['probability']:5.1f} %")
    return "\n".join(lines)
