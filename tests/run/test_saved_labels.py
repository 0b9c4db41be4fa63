"""A saved model reads files as the data it was trained on were read, and answers in their labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from regimen.data import Split, Table, from_arrays, load, read_features
from regimen.engine.reference import train_one
from regimen.models import MLP
from regimen.run import Recipe, Run, SavedModel

from .recipes import BASE, softmax


def learned(table: Table, **changes: object) -> SavedModel:
    """Return a model that has learnt the table by heart."""
    recipe = Recipe(epochs=60, batch_size=8, lr=0.05).replace(**changes)
    none = np.empty(0, dtype=np.int64)
    split = Split(train=np.arange(table.n), validation=none, test=none)
    run = Run(recipe=recipe, model=MLP(hidden=(16,)), data=table, split=split, key=3, metric="accuracy")
    result = train_one(run, keep=("weights",))
    assert result.weights is not None
    return SavedModel.of(run, [result.weights])


@pytest.mark.parametrize(
    "labels",
    [("no", "yes"), ("False", "True"), ("3", "12", "-1"), ("0", "1"), ("0.5", "1.5"), ("élan", "β, δ"), ("a b", '"q"')],
    ids=str,
)
def test_labels_of_a_file_come_back_as_they_stand_in_the_file(labels: tuple[str, ...], tmp_path: Path) -> None:
    given = [labels[i % len(labels)] for i in range(60)]
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    lines = [f"{i % len(labels) + 0.001 * i},{quoted[i % len(labels)]}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["size,kind", *lines]), encoding="utf-8")
    model = learned(load(str(tmp_path / "rows.csv"), target="kind", task="classification"))
    model.save(tmp_path / "model")
    again = SavedModel.load(tmp_path / "model")
    rows = read_features(str(tmp_path / "rows.csv"), again.preparation)
    assert again.predict(rows).tolist() == given
    assert sorted(again.classes) == sorted(labels)


@pytest.mark.parametrize("values", [[2, 5, 11], [False, True], ["x", "y"], [0.5, 2.25]], ids=str)
def test_labels_of_arrays_come_back_as_the_tables_text(values: list[object]) -> None:
    y = np.array(values)[np.arange(60) % len(values)]
    table = from_arrays(np.arange(60.0)[:, None] % len(values), y, task="classification")
    expected = [table.classes[code] for code in table.y]
    assert learned(table).predict(table).tolist() == expected
    assert [text.lower() for text in table.classes] == [str(value).lower() for value in values]


def mixed_table(folder: Path) -> Path:
    """Write a file with missing numbers and cells, levels, and a level that only the last row has."""
    rng = np.random.default_rng(8)
    lines = ["width,colour,height,kind"]
    for i in range(80):
        width = "" if i % 9 == 4 else f"{rng.normal():.6f}"
        colour = "unseen" if i == 79 else ["red", "green", "", "blue"][i % 4]
        lines.append(f"{width},{colour},{rng.normal(5.0, 3.0):.6f},{'ab'[i % 2]}")
    path = folder / "mixed.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_predictions_equal_those_of_the_scikit_learn_pipeline_and_the_network(tmp_path: Path) -> None:
    table = load(str(mixed_table(tmp_path)), target="kind")
    rows = np.arange(79)
    split = Split(train=rows, validation=np.array([79]), test=rows[:0])
    run = Run(recipe=BASE, model=MLP(hidden=(6,)), data=table, split=split, key=3, metric="accuracy")
    result = train_one(run, keep=("weights",))
    assert result.weights is not None
    SavedModel.of(run, [result.weights]).save(tmp_path / "model")
    cells = np.array([line.split(",")[:3] for line in mixed_table(tmp_path).read_text().splitlines()[1:]], dtype=object)
    cells[:, [0, 2]] = [[float(cell or "nan") for cell in row] for row in cells[:, [0, 2]]]
    cells[cells[:, 1] == "", 1] = None
    pipeline = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [0, 2]),
            ("missing", MissingIndicator(), [0, 2]),
            ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [1]),
        ]
    )
    # The encoder and ours order the levels alike: by text, the missing cell last.
    inputs = pipeline.fit(cells[:79]).transform(cells).astype(np.float32)
    network = run.network(inputs.shape[1], 2).eval()
    network.load_state_dict({name: torch.tensor(value) for name, value in result.weights.items()})
    with torch.no_grad():
        expected = softmax(network(torch.from_numpy(inputs)).numpy())
    model = SavedModel.load(tmp_path / "model")
    rows_again = read_features(str(tmp_path / "mixed.csv"), model.preparation)
    np.testing.assert_allclose(model.probabilities(rows_again), expected, rtol=1e-5, atol=1e-7)


def test_columns_in_another_order_and_without_a_target_predict_the_same(tmp_path: Path) -> None:
    table = load(str(mixed_table(tmp_path)), target="kind")
    model = learned(table, epochs=3)
    cells = [line.split(",") for line in (tmp_path / "mixed.csv").read_text().splitlines()]
    (tmp_path / "new.csv").write_text("\n".join(f"{c},{h},{w}" for w, c, h, _ in cells) + "\n")
    new = read_features(str(tmp_path / "new.csv"), model.preparation)
    assert np.array_equal(model.predict_outputs(new), model.predict_outputs(table))
