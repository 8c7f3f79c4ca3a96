"""Render music21's scores with FluidSynth into labelled clips for probes.

    pip install 'mert_fairseq[scores]'; apt-get install fluidsynth fluid-soundfont-gm
    python examples/ablation/render.py rendered

Four folders, each with WAV files (24 kHz, mono, 16 bit) and manifest.jsonl, a JSON object per clip:

    key       Bach's chorales in balanced keys: key, beats, downbeats, chords
    dance     tunes of fiddle books: dance, beats, downbeats
    composer  scores of seven composers: composer, beats, downbeats
    notes     single notes: pitch, family (of the instrument), program, velocity

Splits go by piece. Instruments and tempo change with every clip, and test and validation use instruments that training
does not. Each test clip has two changed copies: with noise, and rendered again in another key. The same command writes
the same bytes; a folder that has its manifest is not rendered again."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from plans import Plan, number_of, plan_notes, plan_pieces

SNR_DB = 20.0
SETS = ("key", "dance", "composer", "notes")


def render_set(folder: Path, plans: Iterator[tuple[Plan, Plan | None]], synthesiser: Any) -> None:
    """Render the clips of a set, and write the manifest last."""
    import soundfile
    from synthesiser import SAMPLE_RATE, with_noise

    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def write(name: str, wave: np.ndarray, labels: dict[str, Any]) -> None:
        soundfile.write(folder / f"{name}.wav", wave, SAMPLE_RATE, subtype="PCM_16")
        rows.append({"path": f"{name}.wav", "duration": round(len(wave) / SAMPLE_RATE, 3), **labels})

    for plan, shifted in plans:
        wave = synthesiser.render(plan.notes, plan.seconds, plan.programs)
        if np.abs(wave).max() < 1e-3:
            print(f"left out: {plan.name}: silent, its program has no sound at this pitch", file=sys.stderr)
            continue
        write(plan.name, wave, plan.labels)
        if shifted:
            original = {"of": f"{plan.name}.wav"}
            noise = with_noise(wave, SNR_DB, np.random.default_rng(number_of(plan.name) % 2**32))
            write(f"{plan.name}_noise", noise, plan.labels | original | {"copy": f"noise_{SNR_DB:g}db"})
            again = synthesiser.render(shifted.notes, shifted.seconds, shifted.programs)
            write(f"{plan.name}_shifted", again, shifted.labels | original | {"copy": "shifted"})
    partial = folder / "manifest.jsonl.partial"
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    partial.rename(folder / "manifest.jsonl")
    splits = Counter(row["split"] for row in rows if "copy" not in row)
    print(f"{folder}: {len(rows)} clips, {sum(row['duration'] for row in rows) / 60:.0f} minutes; {dict(splits)}")


def main(arguments: list[str] | None = None) -> int:
    """Render the sets that are not there; returns 1 if something is missing."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("out", type=Path, help="folder of the sets")
    options.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    options.add_argument("--pieces", type=int, default=150, help="of each class; chorales: twice as many")
    options.add_argument("--copies", type=int, default=1, help="renderings of each piece")
    options.add_argument("--notes", type=int, default=2000)
    options.add_argument("--seconds", type=float, default=20.0, help="at most, of a piece")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--soundfont", type=Path, help="General MIDI, .sf2")
    chosen = options.parse_args(arguments)
    try:
        import music21  # noqa: F401
        from synthesiser import Synthesiser, find_soundfont

        synthesiser = Synthesiser(find_soundfont(chosen.soundfont))
    except ImportError as error:
        print(f"render.py: {error}. {REMEDY}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"render.py: {error}", file=sys.stderr)
        return 1
    for folder in chosen.sets:
        if (chosen.out / folder / "manifest.jsonl").is_file():
            print(f"{chosen.out / folder}: has its manifest, not rendered again")
            continue
        pieces = chosen.pieces * (2 if folder == "key" else 1)
        plans = (
            plan_notes(chosen.notes, chosen.seed)
            if folder == "notes"
            else plan_pieces(folder, pieces, chosen.copies, chosen.seed, chosen.seconds)
        )
        render_set(chosen.out / folder, plans, synthesiser)
    return 0


REMEDY = (
    "Install music21 and pyfluidsynth (pip install 'mert_fairseq[scores]'), and FluidSynth's library with a soundfont "
    "(apt-get install fluidsynth fluid-soundfont-gm)."
)

if __name__ == "__main__":
    sys.exit(main())
