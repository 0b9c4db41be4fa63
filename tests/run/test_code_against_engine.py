"""The plain-PyTorch script and the reference engine train the same network when both draw the same numbers."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regimen import streams
from regimen.data import Table, prepare, stop_split
from regimen.data.row_weights import RowWeights
from regimen.engine.reference import batches, train_one
from regimen.kernels import dropout_mask
from regimen.models import DropoutLayer
from regimen.records import Task
from regimen.run import Recipe, Run
from regimen.techniques import Adam, input_noise, mixup_partners, mixup_weights

from .recipes import BASE, FEATURES, FOR_CLASSES, KEY, STRONG, TASKS, every_recipe, run_of, script


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Draws:
    """The numbers that the engine draws for a run, in the order in which its script asks PyTorch for some."""

    def __init__(self, run: Run, y: Tensor) -> None:
        self.recipe, self.permutations = run.recipe, self._permutations(run, y)
        self.partners = self.noises = 0
        self.sites = (layer.site for layer in run.layers(FEATURES, 1) if isinstance(layer, DropoutLayer))

    def _permutations(self, run: Run, y: Tensor) -> Iterator[Tensor]:
        rows = len(y)
        if self.recipe.early_stopping is not None:
            train, stop = stop_split(np.arange(rows), y.numpy() if y.dtype == torch.int64 else None, run.key)
            rows = len(train)
            yield torch.from_numpy(np.concatenate([stop, train]))
        slices = batches(rows, self.recipe.batch_size)
        self.lam = mixup_weights(KEY, self.recipe.mixup or 1.0, step=0, steps=self.recipe.epochs * len(slices))
        for epoch in range(self.recipe.epochs):
            yield streams.permutation(KEY, rows, epoch=epoch)
            for i, part in enumerate(slices if self.recipe.mixup else []):
                yield mixup_partners(KEY, part.stop - part.start, step=epoch * len(slices) + i)

    def randperm(self, count: int) -> Tensor:
        drawn = next(self.permutations)
        assert len(drawn) == count
        return drawn

    def beta(self, alpha: float, beta: float) -> SimpleNamespace:
        assert alpha == beta == self.recipe.mixup
        self.partners += 1
        return SimpleNamespace(sample=lambda: torch.tensor(self.lam[self.partners - 1]))

    def randn_like(self, x: Tensor) -> Tensor:
        self.noises += 1
        return input_noise(KEY, 1.0, rows=len(x), features=x.shape[1], step=self.noises - 1)

    def dropout(self) -> type[nn.Module]:
        sites = self.sites

        class StreamDropout(nn.Module):
            def __init__(self, p: float) -> None:
                super().__init__()
                self.p, self.site, self.step = p, next(sites), 0

            def forward(self, x: Tensor) -> Tensor:
                if not self.training or not self.p:
                    return x
                self.step += 1
                rows, features = x.shape
                mask = dropout_mask(KEY, self.p, rows=rows, features=features, step=self.step - 1, site=self.site)
                return x * mask[0]

        return StreamDropout


def started_from(code: str, name: str) -> Any:
    """Return the script, compiled, with the variable `name` loaded into its model before anything is trained."""
    tree = ast.parse(code)
    first = ("counts", "criterion", "w_train")
    place = next(
        i for i, line in enumerate(tree.body) if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) in first
    )
    tree.body[place:place] = ast.parse(f"model.load_state_dict({name})").body
    return compile(tree, "<script>", "exec")


@every_recipe
def test_the_script_trains_the_engines_network_when_both_draw_the_same_numbers(
    recipe: Recipe, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(recipe, task, monkeypatch, weighted=False)


WEIGHTED = (
    "stops early",
    "stops early on the plain loss",
    "mixup and noise",
    "weights and smoothing",
    "one row at a time",
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", WEIGHTED)
def test_the_script_weighs_rows_as_the_engine_does(name: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {key: value for key, value in STRONG[name].items() if task == "classification" or key not in FOR_CLASSES}
    compare(BASE.replace(**changes), task, monkeypatch, weighted=True)


def compare(recipe: Recipe, task: Task, monkeypatch: pytest.MonkeyPatch, *, weighted: bool) -> None:
    if recipe.normalization == "batch":
        # The loss does not depend on a bias before batch norm: its gradient is rounding, which Adam would blow up.
        # Over eps = 1e-3 its drift still came to 1e-3 in 20 epochs, on some processors.
        recipe = recipe.replace(optimizer=Adam(eps=0.1))
    run = run_of(recipe, task)
    weights = np.random.default_rng(6).exponential(size=run.data.n)
    if weighted:
        assert isinstance(run.data, Table)
        run = replace(run, data=replace(run.data, weights=RowWeights(column="w", values=weights)))
    prepared = prepare(run.data, run.split, recipe.input_scaling)
    expected = train_one(run, keep=("weights",))
    draws = Draws(run, prepared.y["train"])
    monkeypatch.setattr(torch, "randperm", draws.randperm)
    monkeypatch.setattr(torch, "randn_like", draws.randn_like)
    monkeypatch.setattr(torch.distributions, "Beta", draws.beta)
    monkeypatch.setattr(nn, "Dropout", draws.dropout())
    initial = run.network(prepared.features, prepared.outputs).state_dict()
    names = {"x_train": prepared.x["train"], "y_train": prepared.y["train"], "initial": initial}
    names |= {"w_train": torch.from_numpy(weights[run.split.train]).float()} if weighted else {}
    exec(started_from(script(recipe, task, data=run.data if weighted else None), "initial"), names)
    trained = names["model"].state_dict()  # type: ignore[attr-defined]
    assert expected.status in ("finished", "stopped") and expected.weights is not None
    assert trained.keys() == expected.weights.keys()
    for name, value in expected.weights.items():
        torch.testing.assert_close(trained[name], torch.from_numpy(np.asarray(value)), rtol=1e-4, atol=1e-5)
