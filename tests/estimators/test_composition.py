"""Estimators where users have them: pipelines, searches, cross-validation, copies, pickles, studies and folders."""

import json
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regimen import Recipe, SavedModel
from regimen.errors import OptionError, StoreError
from regimen.estimators import RegimenClassifier, RegimenRegressor, together
from regimen.estimators.training import divide
from regimen.study import Study
from regimen.techniques import SGD, EarlyStopping

QUICK: dict[str, Any] = {"hidden": (8,), "epochs": 5, "random_state": 0}


def test_in_a_pipeline_with_named_columns(flowers: Any) -> None:
    x, y = flowers
    pipeline = make_pipeline(StandardScaler().set_output(transform="polars"), RegimenClassifier(**QUICK)).fit(x, y)
    assert pipeline[-1].feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    assert pipeline.predict(x).shape == y.shape
    assert cross_val_score(pipeline, x, y, cv=3).shape == (3,)


def test_a_grid_search_takes_the_better_of_two(flowers: Any) -> None:
    grid = {"lr": [1e-6, 0.05], "dropout": [0.1, (0.2,)]}
    found = GridSearchCV(RegimenClassifier(**QUICK), grid, cv=3).fit(*flowers)
    assert found.best_params_["lr"] == 0.05
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_candidates_that_train_together_score_as_one_by_one(flowers: Any, engine: str) -> None:
    search = GridSearchCV(
        RegimenClassifier(engine=engine, **QUICK), {"lr": [0.001, 0.01, 0.05], "hidden": [(4,), (8,)]}
    )
    alone = clone(search).fit(*flowers).cv_results_["mean_test_score"]
    threads = set()

    class Recorded(RegimenClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            threads.add(threading.get_ident())
            return super().fit(X, y, sample_weight)

    recorded = clone(search).set_params(estimator=Recorded(engine=engine, **QUICK))
    before = torch.get_num_threads()
    with together(3):
        side_by_side = recorded.fit(*flowers).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(side_by_side, alone)
    assert len(threads) > 1
    assert torch.get_num_threads() == before


def test_a_clone_has_the_arguments_and_nothing_fitted(flowers: Any) -> None:
    model = RegimenClassifier(recipe=Recipe(dropout=0.5), optimizer=SGD(), **QUICK).fit(*flowers)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(flowers[0])


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_generators_of_numpy_are_sources_of_seeds(flowers: Any, source: Any, tmp_path: Path) -> None:
    first, second = (RegimenClassifier(**QUICK | {"random_state": source(5)}) for _ in range(2))
    shares = first.fit(*flowers).predict_proba(flowers[0])
    np.testing.assert_array_equal(clone(second).fit(*flowers).predict_proba(flowers[0]), shares)
    first.save(tmp_path)
    assert RegimenClassifier.load(tmp_path).random_state is None
    # It goes on: the next networks are others.
    assert np.abs(first.fit(*flowers).predict_proba(flowers[0]) - shares).max() > 1e-3


def test_a_pickle_predicts_the_same(yields: Any) -> None:
    model = RegimenRegressor(networks=2, **QUICK).fit(*yields)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(yields[0]), model.predict(yields[0]))


@pytest.mark.parametrize(
    "labels", [["rose", "tulip", "aster"], [7, 3, 5], [1.0, 2.0, 3.0]], ids=["text", "int", "float"]
)
def test_a_folder_gives_the_estimator_back(flowers: Any, labels: Any, tmp_path: Path) -> None:
    x = flowers[0]
    y = np.array(labels)[np.searchsorted(["aster", "rose", "tulip"], flowers[1])]
    model = RegimenClassifier(
        recipe=Recipe(input_noise=0.1), optimizer=SGD(momentum=0.5), dropout=(0.2,), networks=2,
        calibration="temperature", early_stopping=EarlyStopping(patience=3), **QUICK,
    ).fit(x, y)  # fmt: skip
    model.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.safetensors", "model.json", "estimator.json"
    }  # fmt: skip
    found = RegimenClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(found.predict(x), model.predict(x))
    np.testing.assert_array_equal(found.predict_proba(x, samples=3), model.predict_proba(x, samples=3))
    assert found.classes_.dtype == model.classes_.dtype
    assert found.recipe_ == model.recipe_
    assert found.loss_curve_ == model.loss_curve_
    # Its arguments mean what they meant.
    np.testing.assert_array_equal(clone(found).fit(x, y).predict_proba(x), model.predict_proba(x))


def test_a_folder_keeps_names_of_columns_and_goes_on_training(mixed: Any, ripe: Any, tmp_path: Path) -> None:
    model = RegimenClassifier(**QUICK).fit(mixed, ripe, sample_weight=np.where(ripe, 9.0, 3.0))
    model.save(tmp_path)
    found = RegimenClassifier.load(tmp_path)
    assert found.classes_.dtype == bool
    np.testing.assert_array_equal(found.feature_names_in_, model.feature_names_in_)
    np.testing.assert_array_equal(found.partial_fit(mixed, ripe).predict_proba(mixed),
                                  model.partial_fit(mixed, ripe).predict_proba(mixed))  # fmt: skip
    assert SavedModel.load(tmp_path).classes == ("False", "True")


def test_a_folder_that_holds_no_such_estimator_is_refused(yields: Any, tmp_path: Path) -> None:
    model = RegimenRegressor(**QUICK)
    with pytest.raises(NotFittedError):
        model.save(tmp_path)
    model.fit(*yields).save(tmp_path)
    with pytest.raises(StoreError, match="expected schema 1 and a RegimenClassifier, got schema 1 and a Regimen"):
        RegimenClassifier.load(tmp_path)
    content = json.loads((tmp_path / "estimator.json").read_text())
    del content["arguments"]
    (tmp_path / "estimator.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match="describes no estimator"):
        RegimenRegressor.load(tmp_path)
    (tmp_path / "estimator.json").unlink()
    with pytest.raises(StoreError, match="expected a saved estimator"):
        RegimenRegressor.load(tmp_path)


def test_auto_trains_what_a_study_finds_on_all_rows(flowers: Any, tmp_path: Path) -> None:
    model = RegimenClassifier(recipe="auto", budget="21runs", n_jobs=1, **QUICK | {"lr": 0.01}).fit(*flowers)
    found = model.study_
    assert found.design.metric == "accuracy"
    assert found.data.rows.train < len(flowers[0])
    assert model.recipe_.lr == 0.01
    assert len(found.runs) <= 21
    assert len(model.model_.states) == 5
    assert f"on {found.design.pairs} pairs says: " in model.notes_[-1]
    model.save(tmp_path)
    again = RegimenClassifier.load(tmp_path).study_
    assert again.to_json() == found.to_json()
    assert len(model.set_params(networks=2).fit(*flowers).model_.states) == 2
    assert not hasattr(model.set_params(recipe=None).fit(*flowers), "study_")
    model.save(tmp_path)
    assert not hasattr(RegimenClassifier.load(tmp_path), "study_")
    with pytest.raises(OptionError, match=r"expected 'auto' or a file, got 'atuo'; did you mean 'auto'\?"):
        RegimenClassifier(recipe="atuo").fit(*flowers)


@pytest.mark.parametrize("extra", [{"calibration": "temperature"}, {"validation_fraction": 0.3}], ids=["15 %", "30 %"])
def test_auto_studies_none_of_the_rows_held_out(flowers: Any, monkeypatch: pytest.MonkeyPatch, extra: Any) -> None:
    studied = []

    class Recorded(Study):
        def run(self) -> Any:
            studied.append(self.data)
            return super().run()

    monkeypatch.setattr("regimen.estimators.studying.Study", Recorded)
    model = RegimenClassifier(recipe="auto", budget="21runs", n_jobs=1, **QUICK | extra).fit(*flowers)
    table = model._new_table(*flowers)
    split = divide(table, 0, extra.get("validation_fraction", 0.15))
    assert len(split.train) + len(split.validation) == len(flowers[0])
    [data] = studied
    np.testing.assert_array_equal(data.numbers, table.numbers[split.train])
    np.testing.assert_array_equal(data.y, table.y[split.train])
    assert data.classes == table.classes


def test_auto_refuses_a_budget_that_is_none() -> None:
    with pytest.raises(OptionError, match="--budget: expected"):
        RegimenRegressor(recipe="auto", budget="soon").fit(np.zeros((30, 2)), np.arange(30.0))
