"""What commands say of themselves: an example, and the defaults of their options."""

import argparse
import importlib.util
from pathlib import Path

import pytest

from mert_fairseq.arguments import Help
from mert_fairseq.extraction import cli as extraction
from mert_fairseq.genre import cli as genre
from mert_fairseq.hf import export_command, import_command, onnx_command
from mert_fairseq.preprocessing.checks import cli as checks
from mert_fairseq.probing import cli as probing

PREPROCESS = sorted((Path(__file__).parents[1] / "preprocess").glob("*.py"))


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Of all commands, without the trainings'."""
    found = {
        "mert-check-data": checks.parser(),
        "mert-extract": extraction.parser(),
        "mert-genre": genre.parser(),
        "mert-probe": probing.parser(),
        "mert-export-hf": export_command.parser(),
        "mert-import-hf": import_command.parser(),
        "mert-export-onnx": onnx_command.parser(),
    }
    for path in PREPROCESS:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.name] = module.parser()
    return found


def test_every_command_shows_itself_in_an_example():
    for name, parser in parsers().items():
        assert f"{name} " in parser.format_help().partition("options:")[0].partition("\n\n")[2], name


def test_every_option_says_what_it_is_for():
    for name, parser in parsers().items():
        verbs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        for each in (parser, *(verb for action in verbs for verb in action.choices.values())):
            silent = [action.dest for action in each._actions if not action.help and action not in verbs]
            assert not silent, f"{name}: {silent}"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"default": 0, "help": "of the draw"}, "of the draw (default: 0)"),
        ({"default": ["train", "valid"], "nargs": "+", "help": "to read"}, "to read (default: train valid)"),
        ({"default": "50%", "help": "of it"}, "of it (default: 50%)"),
        ({"default": 4, "help": "processes (default: a core each)"}, "processes (default: a core each)"),
        ({"action": "store_true", "help": "as JSON"}, "as JSON"),
        ({"default": [], "nargs": "*", "help": "more"}, "more"),
        ({"help": "if any"}, "if any"),
    ],
)
def test_help_shows_the_defaults_that_say_something(options, shown):
    parser = argparse.ArgumentParser(formatter_class=Help)
    parser.add_argument("--option", **options)
    assert parser.format_help().rstrip().endswith(f" {shown}")
