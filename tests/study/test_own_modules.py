"""A study of a module of the user's own, from Python: tried before anything is trained, resumed only as it was."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn import functional as F

from regimen import SavedModel
from regimen.data import load
from regimen.errors import OptionError, StoreError
from regimen.models import own_module
from regimen.run import Recipe, Run
from regimen.study import Study, StudyOptions
from regimen.study.family import candidate_arms
from regimen.study.layout import Layout
from regimen.study.own_modules import Trial, planned_model
from regimen.study.plan import Plan

IRIS = load("iris")


class Net(nn.Module):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.hidden, self.drop, self.out = nn.Linear(4, 8), nn.Dropout(rate), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(self.drop(F.relu(self.hidden(x))))
        return output


def options(**changes: Any) -> StudyOptions:
    return StudyOptions(**({"techniques": "dropout,he", "pairs": 2, "epochs": 1, "processes": 1} | changes))


def test_a_study_takes_a_class_and_its_model_predicts(tmp_path: Path) -> None:
    found = Study(data=IRIS, model=Net, options=options()).run(tmp_path)
    assert found.results.model.name == "Net"
    assert found.results.model.parameters == 67
    found.model.save(tmp_path / "model")
    again = SavedModel.load(tmp_path / "model", model=Net)
    assert (again.predict(IRIS) == found.model.predict(IRIS)).all()
    with pytest.raises(StoreError, match=r"holds the weights of Net, a module of your own, and no code"):
        SavedModel.load(tmp_path / "model")
    with pytest.warns(UserWarning, match="lambda is not as it was when the model was trained"):
        SavedModel.load(tmp_path / "model", model=lambda: Net(0.2))


def test_a_study_goes_on_with_the_same_module_alone(tmp_path: Path) -> None:
    Study(data=IRIS, model=Net, options=options()).run(tmp_path)
    assert Study(data=IRIS, model=Net).run(tmp_path, resume=True).results.design.pairs == 2
    for model, message in (
        (None, "expected it again, got none"),
        (lambda: Net(0.2), "with another source than lambda"),
    ):
        with pytest.raises(StoreError, match=message):
            Study(data=IRIS, model=model).run(tmp_path, resume=True)


def test_a_stored_name_runs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("raise SystemExit('it ran')\n")
    plan = Plan(
        data="", digest="", model="evil.py:net", baseline={}, arms=(), pairs=2, confirmation_pairs=2, combinations=0,
        metric="accuracy", smallest_effect=None, fresh="seeds", seed=0, engine="reference",
    )  # fmt: skip
    with pytest.raises(StoreError, match=r"of the module evil\.py:net: expected it again, got none"):
        planned_model(plan, None)


def test_a_model_is_given_once() -> None:
    with pytest.raises(OptionError, match="expected it once, got one in options too"):
        Study(data=IRIS, model=Net, options=options(model="mlp:8"))
    assert Study(data=IRIS, model="mlp:8").options.network(IRIS).name == "mlp:8"


def test_a_made_module_is_refused_when_the_study_is_described() -> None:
    with pytest.raises(OptionError, match="got one that is made already"):
        Study(data=IRIS, model=Net())


@pytest.fixture
def trial() -> Callable[..., Trial]:
    def make(factory: Any, **baseline: Any) -> Trial:
        split = Layout.of(IRIS).search_pair(0, 0)[1]
        recipe, model = Recipe(**baseline), own_module(factory)
        found = Trial.of(Run(recipe=recipe, model=model, data=IRIS, split=split, key=0, metric="accuracy"))
        assert found is not None
        return found

    return make


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dropout": 0.5}, None),
        ({"dropout": 0.1}, "it changes nothing in Net"),
        (
            {"dropout": 0.5, "dropout_kind": "channel"},
            "nothing is inserted behind a convolution of Net, whose channels",
        ),
        ({"drop_path": 0.1}, "drop_path: .*"),
        ({"normalization": "batch"}, None),
        ({"lr": 0.1, "mixup": 0.2}, None),
    ],
    ids=str,
)
def test_recipes_that_do_nothing_or_have_no_place_are_left_out_with_the_reason(
    trial: Callable[..., Trial], changes: dict[str, Any], reason: str | None
) -> None:

    found = trial(Net)
    refusal = found.refusal(found.baseline.replace(**changes))
    assert refusal is None if reason is None else refusal is not None and re.match(reason, refusal)


class AlwaysOn(Net):
    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(F.dropout(F.relu(self.hidden(x)), 0.2))
        return output


def test_dropout_that_is_always_on_is_told_of(trial: Callable[..., Trial]) -> None:
    [note] = trial(AlwaysOn).notes
    assert note.startswith("AlwaysOn, ") and "drops in evaluation too" in note
    assert trial(Net).notes == ()


def test_what_is_to_be_said_of_a_module_stands_in_the_plan() -> None:
    model = lambda: nn.Sequential(Net(), nn.Softmax(dim=1))  # noqa: E731
    plan = Study(data=IRIS, model=model, options=options(techniques="he")).run().results.plan
    assert plan["notes"][0].startswith("lambda gives probabilities, and cross-entropy takes logits")


class Residual(Net):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(x)
        output: Tensor = self.out(hidden + F.relu(self.branch(hidden)))
        return output

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(8, 8)
        del self.drop


@pytest.mark.parametrize(
    ("factory", "own"),
    [(Net, ["dropout_scale"]), (Residual, ["drop_path"]), (lambda: nn.Linear(4, 3), [])],
    ids=["dropout", "residual", "linear"],
)
def test_techniques_for_modules_of_ones_own_come_first_where_they_have_a_place(
    trial: Callable[..., Trial], factory: Any, own: list[str]
) -> None:
    found = trial(factory)
    arms, _ = candidate_arms(
        None, task="classification", baseline=found.baseline, model=found.check.model, breadth="first",
        refusal=found.refusal,
    )  # fmt: skip
    names = [arm.technique for arm in arms]
    assert [name for name in names if name in ("dropout_scale", "drop_path")] == own
    assert len(names) == (10 if own else 8)


def test_a_technique_without_a_place_is_noted_once_for_all_its_settings(trial: Callable[..., Trial]) -> None:
    found = trial(Net)
    arms, notes = candidate_arms(
        "drop_path,dropout", task="classification", baseline=found.baseline, model=found.check.model, breadth="all",
        refusal=found.refusal,
    )  # fmt: skip
    assert [arm.name for arm in arms] == ["dropout=0.3", "dropout=0.5", "dropout=0.7"]
    assert [note.partition(":")[0] for note in notes] == ["drop_path is left out", "dropout=0.1 is left out"]
