"""The tables of benchmarks/gpu.py."""

from collections import Counter
from typing import Any

import budget

COUNTED = {  # the parts of an update as timed, and as benchmarks/budget.py counts them: (phase, part)
    "conv stack": [("forward", "conv stack")],
    "encoder": [("forward", "layers"), ("forward", "rest")],
    "heads": [("forward", "heads")],
    "CQT": [("forward", "CQT")],
    "criterion": [("criterion", "criterion")],
    "backward: heads and criterion": [("backward", "heads"), ("backward", "criterion"), ("backward", "CQT")],
    "backward: encoder": [("backward", "layers"), ("backward", "rest")],
    "backward: conv stack": [("backward", "conv stack")],
}


def add_counts(results: dict[str, Any], peak_tflops: float | None) -> None:
    """Add to the measured rows their FLOPs and memory as counted, and their share of the device's peak, if known."""
    results["peak_tflops"] = peak_tflops
    for row in results["updates"]:
        case = _case(row, results)
        row["tflop"] = budget.summary(budget.count(case), case)["TFLOP"]
        row["counted_gb"] = budget.peak_bytes(case) / 1e9
        if "ms" in row:
            row["tflops"] = row["tflop"] / row["ms"] * 1e3
            row["share_of_peak"] = row["tflops"] / peak_tflops if peak_tflops else None
    for row in results["parts"]:
        flops: Counter[tuple[str, str]] = Counter()
        for operation in budget.count(_case(row, results)).operations:
            flops[operation.phase, operation.part] += operation.flops
        row["parts_tflop"] = {part: sum(flops[key] for key in keys) / 1e12 for part, keys in COUNTED.items()}


def _case(row: dict[str, Any], results: dict[str, Any]) -> budget.Case:
    """What the budget counts for a measured row; it knows no float32, whose FLOPs are the same."""
    precision = row["precision"] if row["precision"] in budget.PRECISIONS else "bf16"
    return budget.Case(row["size"], precision, clips=row["clips"], seconds=results["seconds"])


def tables(results: dict[str, Any]) -> str:
    """All tables as Markdown."""
    about = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    peak = results["peak_tflops"]
    known = f"share of {peak:g} TFLOP/s" if peak else "no peak known; give --peak-tflops"
    parts = [
        f"{about}. Clips of {results['seconds']:g} s; {known}.", _updates(results), *map(_parts, results["parts"]),
        _extraction(results), _commands(results), _failures(results),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def _updates(results: dict[str, Any]) -> str:
    rows = [
        "| model | precision | compile | optimizer | clips | ms per update (range) | audio s per s | TFLOP/s | "
        "share of peak | peak GB | counted GB | warm-up s |",
        "|---|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in results["updates"]:
        start = f"| {row['size']} | {row['precision']} | {row['compile']} | {row['optimizer']} | {row['clips']} | "
        if "error" in row:
            rows.append(f"{start}{row['error']} | | | | | {row['counted_gb']:.1f} | |")
            continue
        share = "" if row["share_of_peak"] is None else f"{row['share_of_peak']:.1%}"
        rows.append(
            f"{start}{row['ms']:.1f} ({row['ms_least']:.1f} to {row['ms_most']:.1f}) | "
            f"{row['audio_seconds_per_second']:,.0f} | {row['tflops']:.4g} | {share} | {row['peak_gb']:.1f} | "
            f"{row['counted_gb']:.1f} | {row['warm_up_seconds']:.0f} |"
        )
    return "\n".join(rows) if results["updates"] else ""


def _parts(row: dict[str, Any]) -> str:
    whole, kernels = sum(row["parts_ms"].values()), row["kernels"]
    rows = [
        f"{row['size']}, compile {row['compile']}, {row['clips']} clips: an update of {whole:.1f} ms. Profiled, it "
        f"took {row['profiled_ms']:.1f} ms, of them {kernels['busy_ms']:.1f} in {kernels['launches']:.0f} "
        f"{kernels['kind']}s.",
        "",
        "| part | ms | share | TFLOP counted | TFLOP/s |",
        "|---|--:|--:|--:|--:|",
    ]
    for part, spent in row["parts_ms"].items():
        tflop = row["parts_tflop"].get(part, 0.0)
        rate = f"{tflop / spent * 1e3:.4g}" if spent else ""
        rows.append(f"| {part} | {spent:.2f} | {spent / max(whole, 1e-9):.1%} | {tflop:.3g} | {rate} |")
    rows += ["", f"| {kernels['kind']} | ms per update | launches |", "|---|--:|--:|"]
    rows += [f"| `{each['name'][:90]}` | {each['ms']:.2f} | {each['launches']:.0f} |" for each in kernels["longest"]]
    return "\n".join(rows)


def _extraction(results: dict[str, Any]) -> str:
    rows = [
        "| extraction, model alone, all layers | compile | precision | windows per batch | hours of audio per minute | "
        "error of bfloat16 (layer) |",
        "|---|---|---|--:|--:|--:|",
    ]
    for row in results["extraction"]:
        hours = row.get("error") or f"{row['hours_per_minute']:.3g}"
        error = "" if row["bf16_error"] is None else f"{row['bf16_error']:.1e} ({row['bf16_error_layer']})"
        precision = "bf16" if row["bf16"] else "float32"
        rows.append(f"| {row['size']} | {row['compile']} | {precision} | {row['windows']} | {hours} | {error} |")
    return "\n".join(rows) if results["extraction"] else ""


def _commands(results: dict[str, Any]) -> str:
    rows = [
        "| mert-extract --bf16, WAV files | hours | hours per minute | seconds with the start |",
        "|---|--:|--:|--:|",
    ]
    for row in results["command_runs"]:
        rows.append(
            f"| {row['size']} | {row['hours']:.3g} | {row['hours_per_minute']:.3g} | {row['seconds_with_start']:.0f} |"
        )
    return "\n".join(rows) if results["command_runs"] else ""


def _failures(results: dict[str, Any]) -> str:
    return "\n".join(f"failed: {each['measurement']}: {each['error'].splitlines()[-1]}" for each in results["failed"])
