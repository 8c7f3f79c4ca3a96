"""mert-genre predict: predict the genres of audio files of any sample rate and format."""

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
from mert_fairseq.genre.base_task import Classifier, load_classifier
from mert_fairseq.jobs.command import print_result
from mert_fairseq.preprocessing.signatures import CONTAINER_OF_EXTENSION

EXAMPLE = """examples:
  mert-genre predict exp/mert_finetune/checkpoint_best.pt song.mp3 album/
  mert-genre predict exp/mert_finetune/checkpoint_best.pt album/ --top 1 --json > genres.json"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand ``predict``."""
    options = subparsers.add_parser(
        "predict",
        help="genres and their probabilities for audio files",
        description="Predict the genres of audio files: mp3, ogg, opus, flac, wav and any other format that libsndfile "
        "reads, of any sample rate. Exit status: 0, or 1 if a file is unreadable (the others are reported), a folder "
        "contains no audio file, or the checkpoint is invalid.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("checkpoint", type=Path, help="checkpoint of the task genre_audio, such as checkpoint_best.pt")
    options.add_argument("files", type=Path, nargs="+", metavar="file", help="audio files, or folders of them")
    options.add_argument("--top", type=positive_int, default=3, help="number of genres to report per file")
    options.add_argument(
        "--clips",
        type=positive_int,
        help="maximum clips per file, evenly spaced (default: task.test_clips of the checkpoint)",
    )
    options.add_argument("--json", action="store_true", help="print a JSON list with one object per file")
    options.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load the checkpoint, predict each file, print the results."""
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
    for message in failed:
        print(f"mert-genre: {message}", file=sys.stderr)
    text = json.dumps(results, indent=1, ensure_ascii=False) if arguments.json else as_table(results)
    return print_result(text) or (1 if failed else 0)


def load_audio_classifier(path: Path) -> Classifier:
    """Load a checkpoint of the task genre_audio.

    Raises:
        FileNotFoundError, ValueError: if the file is missing, or is a checkpoint of another task.
    """
    classifier = load_classifier(path)
    if not isinstance(classifier.task, GenreAudioTask):
        raise ValueError(
            f"{path}: found a checkpoint of the task {classifier.cfg.task._name}, which does not take audio; expected "
            f"genre_audio (config/genre/mert_finetune.yaml)."
        )
    return classifier


def audio_files(paths: Iterable[Path]) -> Iterable[Path]:
    """Yield the given files, and all files with an audio extension in the given folders and their subfolders.

    Raises:
        FileNotFoundError: if a folder contains no audio file.
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
    """Predict the genre probabilities of a file: (G,) float64 in the order of the vocabulary.

    Args:
        classifier: of the task genre_audio.
        path: an audio file.
        most_clips: maximum clips; None for task.test_clips.

    Raises:
        AudioError: if the file is unreadable, or too short for the model.
    """
    model, task = classifier.model, classifier.task
    clips = read_clips(path, task.cfg.sample_rate, task.cfg.max_sample_size, most_clips or task.cfg.test_clips)
    net_input = stack_clips([clips])
    if next(model.parameters()).is_cuda:
        net_input = utils.move_to_cuda(net_input)
    return task.probabilities(model(**net_input))[0]


def read_clips(path: Path, sample_rate: int, clip_samples: int, most: int) -> list[np.ndarray]:
    """Read evenly spaced clips of a file, mono and resampled. Only these spans are decoded.

    Args:
        path: an audio file of any sample rate and number of channels.
        sample_rate: to resample to, in Hz.
        clip_samples: clip length, at that rate.
        most: maximum clips, see `clip_starts`.

    Returns:
        Each (T,) float32.

    Raises:
        AudioError: if the file is unreadable, or shorter than 800 samples at that rate.
    """
    if not path.is_file():
        raise AudioError(f"{path}: no such file. Correct its name.")
    info = probe(path)
    # the length in an MP3 header may be an estimate, and a FLAC file written to a pipe has no length
    is_exact = not info.format.startswith("MP3") and info.samples != UNKNOWN_SAMPLES
    samples = info.samples if is_exact else count_samples(path)
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
    """Format results as text: one line per genre, the path before the first genre of a file."""
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
