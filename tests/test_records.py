"""Results survive the way to JSON and back, and what is no result is refused."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from regimen.errors import RegimenError, StoreError
from regimen.records import (
    SCHEMA,
    BaselineRecord,
    ConfirmationRecord,
    CurveRecord,
    DataRecord,
    DesignRecord,
    ModelRecord,
    RecipeRecord,
    Results,
    Rows,
    RunRecord,
    TechniqueRecord,
)
from regimen.records import TestRecord as HeldOutRecord  # a name starting with Test would be collected


@pytest.fixture
def results() -> Results:
    """Results of a study with one technique, with the largest seed and a run that has no metric."""
    run = RunRecord(
        arm="baseline", phase="search", pair=0, seed=(1 << 64) - 1, status="finished", metric=0.1 + 0.2,
        train_loss=0.25, validation_loss=0.5, epoch=40, seconds=1.5,
    )  # fmt: skip
    failed = dataclasses.replace(run, status="failed", metric=None, train_loss=None, validation_loss=None)
    return Results(
        regimen="0.1.0",
        data=DataRecord(
            name="wine <b>", task="classification", rows=Rows(train=100, validation=33, test=45), features=13,
            classes=("Barolo", "Größe", "0"), target="cultivar", notes=("two constant columns were dropped",),
        ),
        model=ModelRecord(name="mlp:128x128", parameters=18_000),
        design=DesignRecord(
            pairs=10, epochs=40, runs=20, steps=1000, engine="reference", seconds=12.5, metric="accuracy",
            smallest_effect=0.005, pilot=False, fresh="seeds",
        ),
        plan={"arms": ["baseline", "dropout"], "budget": None},
        baseline=BaselineRecord(
            mean=0.9, sd=0.01, train_loss=0.1, validation_loss=0.3, gap=0.2, gap_ci=(0.1, 0.3), overfits=True
        ),
        techniques=(
            TechniqueRecord(
                arm="dropout 0.5", name="dropout", setting={"dropout": 0.5}, mean=0.92, delta=0.02, ci=(0.01, 0.03),
                ci_new_rows=(-0.01, 0.05), p=0.002, p_adjusted=0.04, probability_of_improvement=0.95, gap=0.1,
                verdict="helps", pairs_needed=None, strength=0.5,
            ),
        ),
        recipe=RecipeRecord(toml="lr = 0.001\n", code="import torch\n", arms=("dropout 0.5",)),
        confirmation=ConfirmationRecord(
            pairs=10, baseline=0.9, recipe=0.92, delta=0.02, ci=(0.0, 0.04), search_delta=0.02,
            test=HeldOutRecord(rows=45, baseline=0.9, recipe=0.91, delta=0.01, ci=(-0.02, 0.04)),
        ),
        runs=(run, failed),
        curves={
            "baseline": CurveRecord(epoch=(1, 2), train=(1.0, 0.5), validation=(1.0, 0.7), lo=(0.9, 0.6), hi=(1.1, 0.8))
        },
        environment={"torch": "2.13.0", "threads": 1},
    )  # fmt: skip


def written(results: Results, folder: Path, **changes: Any) -> Path:
    """Write the results with some top-level keys of the JSON changed (None removes one)."""
    content = json.loads(results.to_json())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path = folder / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_results_read_back_equal(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(results.to_json(), encoding="utf-8")
    assert Results.read(path) == results


def test_the_json_is_readable_by_anyone_and_has_the_documented_keys(results: Results) -> None:
    content = json.loads(results.to_json())
    assert content["schema"] == SCHEMA == 1
    assert set(content) == {
        "schema", "regimen", "data", "model", "design", "plan", "baseline", "techniques", "recipe", "confirmation",
        "runs", "curves", "environment",
    }  # fmt: skip
    assert content["runs"][0]["seed"] == (1 << 64) - 1
    assert content["runs"][0]["metric"] == 0.1 + 0.2
    assert content["techniques"][0]["ci"] == [0.01, 0.03]
    assert results.to_json().startswith("{\n ")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_become_null(results: Results, value: float) -> None:
    run = dataclasses.replace(results.runs[0], metric=value)
    text = dataclasses.replace(results, runs=(run,), environment={"load": value}).to_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert content["runs"][0]["metric"] is None
    assert content["environment"]["load"] is None


def test_a_run_without_a_metric_reads_back_as_none(results: Results, tmp_path: Path) -> None:
    run = dataclasses.replace(results.runs[0], metric=math.nan)
    found = Results.read(written(dataclasses.replace(results, runs=(run,)), tmp_path))
    assert found.runs == (dataclasses.replace(run, metric=None),)


@pytest.mark.parametrize("schema", [0, 2, "one", [1]])
def test_another_schema_is_refused_and_both_are_named(results: Results, tmp_path: Path, schema: object) -> None:
    path = written(results, tmp_path, schema=schema)
    with pytest.raises(StoreError) as refusal:
        Results.read(path)
    assert str(refusal.value) == f"{path} has schema {schema!r}; this version of regimen reads schema 1"


def test_a_missing_schema_is_refused(results: Results, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has schema None"):
        Results.read(written(results, tmp_path, schema=None))


@pytest.mark.parametrize("key", ["data", "design", "techniques", "recipe", "runs", "curves"])
def test_a_missing_part_is_refused_by_name(results: Results, tmp_path: Path, key: str) -> None:
    with pytest.raises(StoreError, match=f"is not the results of a study: .*`{key}`.*; run `regimen study` again"):
        Results.read(written(results, tmp_path, **{key: None}))


@pytest.mark.parametrize(
    "changes",
    [{"techniques": {"a": 1}}, {"runs": [{"arm": "x"}]}, {"model": {"name": "mlp", "parameters": "many"}}],
)
def test_parts_of_another_type_are_refused(results: Results, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="is not the results of a study"):
        Results.read(written(results, tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe", b'{"schema": 1}', b"# a recipe"])
def test_a_file_that_holds_no_results_is_refused_without_a_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"results\.json"):
        Results.read(path)


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"expected the results of a study at .*nothing\.json: No such file"):
        Results.read(tmp_path / "nothing.json")
    with pytest.raises(StoreError, match="Is a directory"):
        Results.read(tmp_path)


def test_records_can_not_be_changed(results: Results) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        results.design.pairs = 8  # type: ignore[misc]


def test_a_store_error_is_the_users_to_repair() -> None:
    assert issubclass(StoreError, RegimenError)
    assert StoreError.exit_code == 2
