"""Is what `regimen study digits` says true of plain PyTorch? Ten new pairs, a hand-written loop, its own randomness.

Trains the baseline and the study's recipe.toml on splits that the study never saw and compares the mean difference with
the interval of the study's confirmation. The only thing taken from regimen is which rows are not test rows, because
verdicts are about re-splits of those. Training, splits and randomness are scikit-learn's and PyTorch's.

    python benchmarks/check_digits.py runs/digits-1 --out benchmarks/results/check_digits.json
"""

import argparse
import json
import math
import platform
import statistics
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

from regimen.data import hold_out, load

KNOWN = {
    "lr", "epochs", "batch_size", "optimizer", "dropout", "input_dropout", "normalization", "weight_decay",
    "decoupled_weight_decay", "label_smoothing", "mixup", "input_noise", "averaging",
}  # fmt: skip


def network(recipe: dict[str, Any], hidden: tuple[int, ...]) -> nn.Sequential:
    """Return the multilayer perceptron with the recipe's layers."""
    layers: list[nn.Module] = [nn.Dropout(recipe.get("input_dropout", 0.0))]
    width = 64
    for units in hidden:
        layers.append(nn.Linear(width, units))
        if recipe.get("normalization") == "batch":
            layers.append(nn.BatchNorm1d(units))
        layers += [nn.ReLU(), nn.Dropout(recipe.get("dropout", 0.0))]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 10))


def train(recipe: dict[str, Any], hidden: tuple[int, ...], x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Module:
    """Train one network as a user would write it."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = network(recipe, hidden)
    weights = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    l2, decoupled = recipe.get("weight_decay", 0.0), recipe.get("decoupled_weight_decay", 0.0)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    groups = [{"params": weights, "weight_decay": decoupled or l2}, {"params": others, "weight_decay": 0.0}]
    optimizer = kind(groups, lr=recipe["lr"])
    decay = recipe.get("averaging", {}).get("decay")
    average = None
    if decay is not None:
        average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
        )
    smoothing, alpha = recipe.get("label_smoothing", 0.0), recipe.get("mixup", 0.0)
    for _ in range(recipe["epochs"]):
        model.train()
        for rows in torch.randperm(len(x)).split(recipe["batch_size"]):
            if len(rows) == 1:
                continue
            inputs, targets = x[rows], y[rows]
            partner = torch.randperm(len(rows))
            lam = rng.beta(alpha, alpha) if alpha else 1.0
            inputs = lam * inputs + (1 - lam) * inputs[partner]
            inputs = inputs + recipe.get("input_noise", 0.0) * torch.randn_like(inputs)
            outputs = model(inputs)
            loss = lam * F.cross_entropy(outputs, targets, label_smoothing=smoothing)
            loss = loss + (1 - lam) * F.cross_entropy(outputs, targets[partner], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if average is not None:
                average.update_parameters(model)
    return (average or model).eval()


def accuracy(recipe: dict[str, Any], hidden: tuple[int, ...], seed: int) -> float:
    """Return the accuracy on a quarter of the development rows, split anew by `seed`."""
    x, y = load_digits(return_X_y=True)
    rows = hold_out(load("digits")).development
    fit, held = train_test_split(rows, test_size=0.25, stratify=y[rows], random_state=seed)
    mean, scale = x[fit].mean(axis=0), x[fit].std(axis=0)
    scale[scale == 0] = 1.0
    scaled = torch.tensor((x - mean) / scale, dtype=torch.float32)
    labels = torch.tensor(y)
    model = train(recipe, hidden, scaled[fit], labels[fit], seed)
    with torch.no_grad():
        return float((model(scaled[held]).argmax(dim=1) == labels[held]).float().mean())


def main() -> None:
    """Compare, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study of digits")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads((options.study / "results.json").read_text())
    recipe = tomllib.loads((options.study / "recipe.toml").read_text())
    baseline = dict(results["plan"]["baseline"])
    for one in (recipe, baseline):
        if unknown := set(one) - KNOWN:
            raise SystemExit(f"this loop does not know {', '.join(sorted(unknown))}; write it in first")
    hidden = tuple(int(width) for width in results["model"]["name"].removeprefix("mlp:").split("x"))
    seeds = range(options.first_seed, options.first_seed + options.pairs)
    differences = [accuracy(recipe, hidden, seed) - accuracy(baseline, hidden, seed) for seed in seeds]
    mean, sd = statistics.fmean(differences), statistics.stdev(differences)
    lo, hi = results["confirmation"]["ci"]
    figures = {
        "what": "digits, plain PyTorch: recipe minus baseline, accuracy, new splits and seeds",
        "recipe": recipe,
        "pairs": options.pairs,
        "delta": mean,
        "sd": sd,
        "standard_error": sd / math.sqrt(options.pairs),
        "confirmed_delta": results["confirmation"]["delta"],
        "confirmed_ci": [lo, hi],
        "inside": lo <= mean <= hi,
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
    }
    print(json.dumps(figures, indent=1))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
