"""The benchmark of the estimators runs in its smallest form and stores paired figures; nothing is timed."""

import importlib
import json
from pathlib import Path

import pytest
import torch


def test_the_benchmark_compares_on_the_same_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    threads, out = torch.get_num_threads(), tmp_path / "estimators.json"
    arguments = ["--quick", "--repeats", "2", "--contestants", "default,mlp", "--out", str(out)]
    with pytest.warns(UserWarning, match="Maximum iterations"):
        importlib.import_module("bench_estimators").main(arguments)
    torch.set_num_threads(threads)
    own, base = json.loads(out.read_text())["rows"]
    assert (own["contestant"], base["contestant"]) == ("default", "mlp")
    differences = [100 * (a - b) for a, b in zip(own["accuracies"], base["accuracies"], strict=True)]
    assert own["difference"] == pytest.approx(sum(differences) / 2)
    assert min(own["accuracies"]) > 0.8
