"""Fitting: what is trained, from which arguments, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from regimen import Recipe
from regimen.engine import choose_engine, train
from regimen.errors import EngineError, InputError, OptionError, RecipeError
from regimen.estimators import RegimenClassifier, RegimenRegressor
from regimen.estimators.recipes import CLASS_FIELDS, FIELDS, default_recipe, resolve_recipe
from regimen.estimators.training import divide
from regimen.models import MLP
from regimen.run import Run, recipe_to_toml
from regimen.streams import run_key
from regimen.techniques import SGD, CosineLR, EarlyStopping

# Fields of recipes that are for images, which no array of cells is, and for modules of one's own.
OTHER_FIELDS = {"dropout_kind", "augmentation", "cutmix", "dropout_scale", "drop_path"}


def quick(kind: Any, **arguments: Any) -> Any:
    return kind(**({"hidden": (8,), "epochs": 5, "random_state": 0} | arguments))


def test_every_field_of_a_recipe_is_an_argument_of_the_same_name() -> None:
    fields = {*Recipe.__dataclass_fields__} - OTHER_FIELDS
    assert fields == {*FIELDS, *CLASS_FIELDS}
    assert fields <= {*RegimenClassifier().get_params()}
    assert fields - {*CLASS_FIELDS} == fields & {*RegimenRegressor().get_params()}


def test_a_study_starts_from_a_larger_network_than_a_plain_fit() -> None:
    made = (RegimenRegressor(recipe=recipe) for recipe in ("auto", None))
    automatic, plain = ((model._network(3_000), model._recipe(3_000)) for model in made)
    assert automatic[0].hidden > plain[0].hidden
    assert automatic[1] == plain[1].replace(epochs=40)


def test_a_large_table_gets_another_network_and_recipe_than_a_small_one() -> None:
    source = np.random.default_rng(1)
    for rows, hidden, epochs in ((1_999, (128,), 40), (2_000, (128, 64), 20)):
        x = source.normal(size=(rows, 2))
        model = RegimenRegressor(random_state=0).fit(x, x[:, 0])
        assert model.model_.model.hidden == hidden
        assert (model.n_iter_, model.recipe_) == (epochs, default_recipe(rows))
    given = RegimenRegressor(hidden=(4,), epochs=1).fit(x, x[:, 0])
    assert given.model_.model.hidden == (4,)
    assert given.recipe_.lr == 0.005


def test_labels_come_back_as_they_were(flowers: Any) -> None:
    x, y = flowers
    model = quick(RegimenClassifier, epochs=40, lr=0.01).fit(x, y)
    assert model.classes_.tolist() == ["aster", "rose", "tulip"]
    assert (model.predict(x) == y).mean() > 0.6
    shares = model.predict_proba(x)
    assert shares.shape == (len(x), 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[shares.argmax(axis=1)], model.predict(x))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), shares)


def test_amounts_come_back_in_their_unit(yields: Any) -> None:
    x, y = yields
    model = quick(RegimenRegressor, epochs=60, lr=0.01).fit(x, y)
    assert model.score(x, y) > 0.9
    assert abs(model.predict(x).mean() - 1000.0) < 20.0


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_fit_is_that_run_of_the_engine_over_all_rows(flowers: Any, engine: str) -> None:
    if engine == "native" and choose_engine().name != "native":
        pytest.skip("the C++ kernels are not built")
    x, y = flowers
    model = quick(RegimenClassifier, engine=engine, dropout=0.3).fit(x, y)
    table = model._new_table(x, y)
    run = Run(
        recipe=default_recipe(len(x)).replace(epochs=5, dropout=0.3),
        model=MLP(hidden=(8,)),
        data=table,
        split=divide(table, 0, None),
        key=run_key(0, pair=0, phase=2),
        metric="accuracy",
    )
    [result] = train([run], engine=engine, keep=("weights",))
    assert result.weights is not None
    assert model.engine_ == engine
    for name, value in result.weights.items():
        np.testing.assert_array_equal(model.model_.states[0][name], value)
    assert model.loss_curve_ == list(result.curves.train_loss)
    assert model.n_iter_ == 5


def test_equal_seeds_give_equal_networks_and_others_do_not(flowers: Any) -> None:
    first, second, other = (quick(RegimenClassifier, random_state=s).fit(*flowers) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.predict_proba(flowers[0]), second.predict_proba(flowers[0]))
    assert np.abs(first.predict_proba(flowers[0]) - other.predict_proba(flowers[0])).max() > 1e-3


def test_several_networks_are_averaged(yields: Any, flowers: Any) -> None:
    three = quick(RegimenRegressor, networks=3).fit(*yields)
    outputs = [network_predictions(three, index, yields[0]) for index in range(3)]
    np.testing.assert_allclose(three.predict(yields[0]), np.mean(outputs, axis=0), rtol=1e-12)
    two = quick(RegimenClassifier, networks=2).fit(*flowers)
    each = [network_predictions(two, index, flowers[0]) for index in range(2)]
    np.testing.assert_allclose(two.predict_proba(flowers[0]), np.mean(each, axis=0), rtol=1e-9)


def network_predictions(model: Any, index: int, x: Any) -> Any:
    """Return what one network of several predicts by itself, computed without the code of the estimators."""
    import torch

    inputs = torch.from_numpy(model.model_.preparation.apply(model._features(x))).double()
    with torch.no_grad():
        outputs = model.model_.networks()[index].double()(inputs)
    if model.model_.task == "regression":
        return outputs[:, 0].numpy() * model.model_.preparation.target_scale + model.model_.preparation.target_mean
    return outputs.softmax(dim=1).numpy()


def test_rows_held_out_are_followed_and_not_trained_on(flowers: Any) -> None:
    model = quick(RegimenClassifier, validation_fraction=0.2).fit(*flowers)
    assert len(model.validation_curve_) == len(model.loss_curve_) == 5
    assert quick(RegimenClassifier).fit(*flowers).validation_curve_ == []


def test_early_stopping_stops(flowers: Any) -> None:
    model = quick(RegimenClassifier, epochs=300, lr=0.05, early_stopping={"patience": 3}).fit(*flowers)
    assert model.n_iter_ < 300
    assert model.recipe_.early_stopping == EarlyStopping(patience=3)


@pytest.mark.parametrize(
    "given",
    [
        Recipe(lr=0.02, mixup=0.3),
        recipe_to_toml(Recipe(lr=0.02, mixup=0.3)),
        {"lr": 0.02, "mixup": 0.3},
        "path",
    ],
    ids=["recipe", "text", "mapping", "path"],
)
def test_a_recipe_is_taken_in_every_form_and_arguments_change_it(given: Any, tmp_path: Path) -> None:
    if given == "path":
        given = tmp_path / "recipe.toml"
        given.write_text(recipe_to_toml(Recipe(lr=0.02, mixup=0.3)))
    assert resolve_recipe(given, {"lr": None, "dropout": np.float64(0.5)}, rows=100) == Recipe(
        lr=0.02, mixup=0.3, dropout=0.5
    )


def test_optional_fields_are_switched_on_by_name_and_off_by_a_word() -> None:
    full = Recipe(schedule=CosineLR(), max_norm=2.0, early_stopping=EarlyStopping())
    off = {"schedule": "none", "max_norm": "none", "early_stopping": False}
    assert resolve_recipe(full, off, rows=100) == Recipe()
    on = {"schedule": "cosine", "early_stopping": True, "optimizer": SGD(momentum=0.9)}
    assert resolve_recipe(Recipe(), on, rows=100) == Recipe(
        schedule=CosineLR(), early_stopping=EarlyStopping(), optimizer=SGD(momentum=0.9)
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dropout": 1.5}, RecipeError, "dropout: expected a number in"),
        ({"recipe": 3}, OptionError, "recipe: expected None, 'auto', a regimen.Recipe"),
        ({"recipe": "nowhere.toml"}, RecipeError, "expected a recipe in TOML at nowhere.toml"),
        ({"recipe": "droput = 0.5"}, RecipeError, "did you mean 'dropout'"),
        ({"networks": 0}, OptionError, "networks: expected None or a whole number >= 1"),
        ({"validation_fraction": 1.0}, OptionError, "validation_fraction: expected None or a number"),
        ({"n_jobs": 0}, OptionError, "n_jobs: expected None, -1 or a number"),
        ({"random_state": -1}, OptionError, "random_state: expected a whole number from 0"),
        ({"calibration": "platt"}, OptionError, "calibration: no such value 'platt'"),
        ({"activation": "rely"}, OptionError, "no such activation 'rely'; did you mean 'relu'"),
        ({"engine": "naive"}, OptionError, "no such engine 'naive'"),
        ({"metric": "rmse"}, OptionError, "metric: expected one for classification"),
    ],
)
def test_what_can_not_be_is_refused_in_fit(
    flowers: Any, arguments: dict[str, Any], error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        quick(RegimenClassifier, **arguments).fit(*flowers)


def test_a_training_that_diverges_is_an_error(yields: Any) -> None:
    with pytest.raises(EngineError, match="the loss was not finite"):
        quick(RegimenRegressor, lr=1e30, optimizer="sgd").fit(*yields)


def test_one_class_alone_is_predicted_for_all(flowers: Any) -> None:
    model = quick(RegimenClassifier).fit(flowers[0], np.full(len(flowers[0]), "rose"))
    assert set(model.predict(flowers[0])) == {"rose"}


def test_missing_numbers_of_arrays_are_filled_and_marked(flowers: Any) -> None:
    x, y = flowers[0].copy(), flowers[1]
    x[::3, 1] = np.nan
    model = quick(RegimenClassifier).fit(x, y)
    assert model.model_.preparation.indicators == (1,)
    assert np.isfinite(model.predict_proba(x)).all()


def test_the_rows_of_the_caller_stay_as_they_are(yields: Any) -> None:
    x, y = yields[0].copy(), yields[1].copy()
    quick(RegimenRegressor).fit(x, y)
    np.testing.assert_array_equal(x, yields[0])
    assert x.flags.writeable
    assert y.flags.writeable


def test_a_verbose_fit_says_what_was_trained(flowers: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quick(RegimenClassifier, verbose=True).fit(*flowers)
    assert "1 x mlp:8, 5 epochs on 90 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    "surroundings",
    [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")],
    ids=["grad", "inference", "device"],
)
def test_fitting_and_predicting_do_not_depend_on_what_the_caller_has_set_in_pytorch(surroundings: Any) -> None:
    x, y = load_iris(return_X_y=True)

    def predicted() -> list[np.ndarray]:
        fitted = RegimenClassifier(hidden=(8,), epochs=2, dropout=0.2, calibration="temperature", random_state=0)
        begun = RegimenClassifier(hidden=(8,), dropout=0.2, random_state=0)
        for _ in range(2):
            begun.partial_fit(x, y, classes=[0, 1, 2])
        fitted.fit(x, y)
        return [fitted.predict_proba(x), fitted.predict_proba(x, samples=2), begun.predict_proba(x)]

    expected = predicted()
    with surroundings():
        found = predicted()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
