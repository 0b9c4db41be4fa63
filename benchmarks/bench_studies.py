"""How long whole studies take as a user starts them, and what they find; stored for README.md and docs/first-study.md.

`regimen study digits`, 331 runs of 40 epochs: 26 s (n = 5, 18 to 47 s), 24 s of processor time; in plain
PyTorch 268 s (n = 1), 280 s of processor time. 2 cores of a shared Intel Xeon (AVX512), busy with other work.

    python benchmarks/bench_studies.py digits
    python benchmarks/bench_studies.py titanic --csv titanic.csv     # 891 passengers; see docs/first-study.md
"""

import argparse
import datetime
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"

# What a study tries by itself where the native engine trains; named, so that plain PyTorch tries the same.
FIRST_TEN = "dropout,mixup,label_smoothing,batch_norm,l2,decoupled_decay,input_dropout,early_stopping,input_noise,ema"
SURVIVED = ["titanic.csv", "--target", "survived"]
# Each study: its arguments, and how often it is repeated for the time that it takes.
DIGITS = {
    "digits": (["digits"], 5),
    "reference": (["digits", "--techniques", FIRST_TEN, "--engine", "reference"], 1),
}
TITANIC = {
    "accuracy": (SURVIVED, 1),
    "log_loss": ([*SURVIVED, "--metric", "log_loss"], 1),
    "more_pairs": ([*SURVIVED, "--techniques", "dropout,l2", "--pairs", "100", "--seed", "1"], 1),
}


def commit() -> str:
    """Return the commit that is measured; sources that are in no commit are refused."""
    changed = subprocess.run(
        ["git", "status", "--porcelain", "src"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    if changed.stdout:
        raise SystemExit(f"expected src as it is in a commit, found changes; commit them first:\n{changed.stdout}")
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def regimen(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run a command in `folder`; return its wall-clock seconds and the processor seconds of all its processes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "regimen", *arguments], cwd=folder, env=environment, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def figures(results: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same in every repeat: everything but times."""
    return results | {
        "design": results["design"] | {"seconds": 0},
        "techniques": [one | {"cost": 0} for one in results["techniques"]],
        "runs": [run | {"seconds": 0} for run in results["runs"]],
    }


def measured(studies: dict[str, tuple[list[str], int]], folder: Path) -> dict[str, dict[str, Any]]:
    """Return times and results of each study by its name; repeats are interleaved, and start from nothing."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in studies}
    for repeat in range(max(repeats for _, repeats in studies.values())):
        for name, (arguments, repeats) in studies.items():
            if repeat < repeats:
                wall, processor = regimen(["study", *arguments, "--out", "study"], folder)
                results = json.loads((folder / "study" / "results.json").read_text())
                found[name].append({"seconds": wall, "processor_seconds": processor, "results": results})
                shutil.rmtree(folder / "study")
    return {name: summary(studies[name][0], repeats) for name, repeats in found.items()}


def summary(arguments: list[str], repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the command, the times of all repeats, and the results of the repeat whose time is the median."""
    if any(figures(one["results"]) != figures(repeats[0]["results"]) for one in repeats):
        raise SystemExit("expected the same figures in every repeat, found others: the study is not reproducible")
    walls = [one["seconds"] for one in repeats]
    results = repeats[walls.index(statistics.median_low(walls))]["results"]
    return {
        "command": " ".join(["regimen", "study", *arguments]),
        "seconds": [round(value, 1) for value in walls],
        "processor_seconds": [round(one["processor_seconds"], 1) for one in repeats],
        # Every run and curve of the one study whose pictures are drawn; of the others, what the terminal shows.
        "results": results if arguments == ["digits"] else results | {"runs": [], "curves": {}},
    }


def main() -> None:
    """Measure, and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "titanic"])
    parser.add_argument("--csv", type=Path, help="the passengers, for titanic")
    options = parser.parse_args()
    if (options.what == "titanic") != (options.csv is not None):
        parser.error("titanic, and only titanic, needs --csv")
    import torch

    head = {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "load_before": round(os.getloadavg()[0], 1),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.csv is not None:
            shutil.copy(options.csv, folder / "titanic.csv")
        regimen(["info"], folder)  # warm-up: files read once, modules compiled
        found = measured(DIGITS if options.what == "digits" else TITANIC, folder)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"studies_{options.what}.json"
    path.write_text(json.dumps(head | {"studies": found}, indent=1) + "\n")
    for name, study in found.items():
        print(f"{name}: {study['seconds']} s, {study['processor_seconds']} s of processor time -> {path}")


if __name__ == "__main__":
    main()
