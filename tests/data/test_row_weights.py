"""How much rows count: read from columns and arrays, rows of weight 0 left out, everything else refused by its row."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from torch.utils.data import TensorDataset

from regimen.data import Data, as_data, from_arrays, from_batches, from_frame, from_images, from_samples, load
from regimen.data.row_weights import RowWeights
from regimen.errors import DataError, OptionError

ROWS = 60
SOURCE = np.random.default_rng(1)
X, Y, W = SOURCE.normal(size=(ROWS, 2)), np.arange(ROWS) % 2, SOURCE.exponential(size=ROWS) + 0.1


def frame(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "w": W, "y": Y} | columns)


def weights_of(data: Data) -> np.ndarray:
    assert data.weights is not None
    return data.weights.values


def test_the_column_of_weights_is_no_feature_and_goes_with_its_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "t.csv")
    frame().write_csv(path)
    table = load(path, target="y", weights="w")
    assert [column.name for column in table.columns] == ["a", "b"]  # type: ignore[union-attr]
    np.testing.assert_allclose(weights_of(table), W)
    assert table.weights is not None and table.weights.column == "w"
    assert any("rows count by their weights in 'w'" in note for note in table.notes)
    assert pickle.loads(pickle.dumps(table)) == table


def test_rows_without_a_target_need_no_weight_and_rows_without_a_group_take_theirs_along() -> None:
    groups = [f"g{i % 8}" for i in range(ROWS)]
    w, y = W.tolist(), [str(label) for label in Y]
    w[3], y[3], groups[5] = None, None, None
    table = from_frame(frame(w=w, y=y, g=groups), "y", weights="w", group="g")
    left = np.delete(np.arange(ROWS), [3, 5])
    np.testing.assert_array_equal(weights_of(table), W[left])
    np.testing.assert_array_equal(table.numbers[:, 0], X[left, 0])
    assert table.structure is not None and len(table.structure.values) == len(left)


def test_rows_of_weight_zero_are_not_there() -> None:
    w = np.where(np.arange(ROWS) % 5 == 0, 0.0, W)
    kept = w > 0
    with_zeros = from_frame(frame(w=w), "y", weights="w")
    assert with_zeros == from_frame(frame(w=w).filter(kept), "y", weights="w")
    assert "left out 12 rows of frame whose weight in 'w' is 0" in with_zeros.notes
    group = np.arange(ROWS) // 6
    samples = from_samples(X, Y, sample_weight=w, group=group)
    assert samples == from_samples(X[kept], Y[kept], sample_weight=w[kept], group=group[kept])
    assert from_arrays(X, Y, sample_weight=w) == from_arrays(X[kept], Y[kept], sample_weight=w[kept])
    pixels = SOURCE.random((ROWS, 8, 8))
    assert from_images(pixels, Y, sample_weight=w) == from_images(pixels[kept], Y[kept], sample_weight=w[kept])


@pytest.mark.parametrize("value", [0.1, 1.0, 7.0])
def test_equal_weights_are_no_weights(value: float) -> None:
    weighted = from_frame(frame(w=np.full(ROWS, value)), "y", weights="w")
    assert weighted.weights is None
    assert weighted == from_frame(frame(), "y", ignore=["w"])
    assert "the weights in 'w' are equal: every row counts alike" in weighted.notes
    # Zeros and ones: the rows of weight one alone.
    zeros = np.where(np.arange(ROWS) % 3 == 0, 0.0, value)
    ones = zeros > 0
    assert from_arrays(X, Y, sample_weight=zeros) == from_arrays(X[ones], Y[ones])


def test_a_class_whose_rows_all_have_weight_zero_is_not_there() -> None:
    y = np.where(np.arange(ROWS) < 10, 2, Y)
    w = np.where(y == 2, 0.0, W)
    assert from_frame(frame(y=y, w=w), "y", weights="w").classes == ("0", "1")
    assert from_samples(X, y, sample_weight=w).classes == ("0", "1")


def test_other_weights_are_other_data_whatever_they_are_called() -> None:
    data = from_arrays(X, Y, sample_weight=W)
    assert data.digest == from_arrays(X, Y, sample_weight=pl.Series("other", W)).digest
    assert data.digest != from_arrays(X, Y).digest
    assert data.digest != from_arrays(X, Y, sample_weight=W[::-1]).digest


@pytest.mark.parametrize("beside", [W, W[:, None], list(W), pl.Series(W), W.astype(object)])
def test_weights_stand_beside_arrays_of_every_kind(beside: Any) -> None:
    loader = lambda: [(X[:30], Y[:30]), (X[30:], Y[30:])]  # noqa: E731
    import torch

    dataset = TensorDataset(torch.from_numpy(X[:, :, None]), torch.from_numpy(Y))
    for data in (
        from_arrays(X, Y, sample_weight=beside),
        from_samples(X, Y, sample_weight=beside),
        from_batches(loader, sample_weight=beside),
        as_data((X, Y), weights=beside),
        as_data((X[:, :, None], Y), weights=beside),
        as_data(dataset, weights=beside),
        as_data(frame(), target="y", weights="w"),
        as_data((frame().drop("y"), Y), weights="w"),
    ):
        np.testing.assert_allclose(weights_of(data), W)


def test_a_column_of_an_array_may_hold_the_weights() -> None:
    table = from_arrays(np.c_[X, W], Y, columns=["a", "b", "w"], sample_weight="w")
    np.testing.assert_array_equal(weights_of(table), W)
    assert [column.name for column in table.columns] == ["a", "b"]


def test_a_decimal_comma_is_read_in_weights_too(tmp_path: Path) -> None:
    lines = [f"{a:.3f};{w:.3f}".replace(".", ",") + f";{y}" for a, w, y in zip(X[:, 0], W, Y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a;w;y", *lines]))
    table = load(str(tmp_path / "t.csv"), target="y", weights="w")
    np.testing.assert_allclose(weights_of(table), W.round(3))


@pytest.mark.parametrize(
    ("cell", "got"),
    [(None, "none"), ("", "none"), ("-1", "'-1'"), ("inf", "'inf'"), ("1e39", "'1e39'"), ("much", "'much'")],
)
def test_a_row_without_a_weight_is_named(tmp_path: Path, cell: str | None, got: str) -> None:
    w = [str(value) for value in W]
    w[6] = "" if cell is None else cell
    frame(w=w).write_csv(tmp_path / "t.csv")
    message = f"finite weight of at least 0 for every row in column 'w', got {got} in row 7; correct it, or leave"
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "t.csv"), target="y", weights="w")
    if cell in (None, "-1", "inf"):
        beside = W.copy()
        beside[6] = np.nan if cell is None else float(cell)
        with pytest.raises(DataError, match=r"every row in 'sample_weight', got (none|-1\.0|inf) in row 7"):
            from_samples(X, Y, sample_weight=beside)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "v"}, r"column with the weight of each row, got 'v', which the table lacks"),
        ({"weights": "y"}, r"a column of weights other than the target, got 'y'"),
        ({"weights": "g", "group": "g"}, r"a column of weights other than that of groups or times, got 'g'"),
        ({"weights": "z"}, r"weights of which some are above 0 in column 'z', got 0 in every row"),
    ],
)
def test_columns_that_hold_no_weights_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_frame(frame(g=[f"g{i % 8}" for i in range(ROWS)], z=np.zeros(ROWS)), "y", **options)


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        (W[:50], r"expected sample_weight for each of 60 rows, got 50"),
        (np.ones((ROWS, 2)), r"expected sample_weight as one number for each of 60 rows, got float64 \[60, 2\]"),
        (["heavy"] * ROWS, r"expected sample_weight as one number for each of 60 rows, got <U5"),
    ],
)
def test_arrays_that_hold_no_weights_are_refused(beside: Any, message: str) -> None:
    for make in (from_arrays, from_samples):
        with pytest.raises(DataError, match=message):
            make(X, Y, sample_weight=beside)


def test_images_and_frames_take_no_names_that_they_do_not_have() -> None:
    with pytest.raises(OptionError, match="weights: mnist is images"):
        load("mnist", weights="w")
    with pytest.raises(OptionError, match="weights: expected the name of a column of frame, got ndarray"):
        from_frame(frame(), "y", weights=W)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"weights: .* is read already"):
        as_data(from_arrays(X, Y), weights=W)


def test_files_of_other_parts_have_weights_of_their_own(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "t.csv")
    further = frame(w=np.where(Y == 1, 2.0, 0.0)).head(20)
    further.write_csv(tmp_path / "test.csv")
    table = load(str(tmp_path / "t.csv"), target="y", weights="w", test=str(tmp_path / "test.csv"))
    assert table.test_rows is not None
    np.testing.assert_allclose(weights_of(table)[table.test_rows], np.full(10, 2.0))
    np.testing.assert_allclose(weights_of(table)[table.drawn_rows], W)
    further.drop("w").write_csv(tmp_path / "test.csv")
    with pytest.raises(DataError, match="'w'"):
        load(str(tmp_path / "t.csv"), target="y", weights="w", test=str(tmp_path / "test.csv"))


def test_samples_of_a_file_name_their_array_of_weights(tmp_path: Path) -> None:
    x = X[:, :, None]
    np.savez(tmp_path / "t.npz", X=x, y=Y, Counts=W)
    np.savez(tmp_path / "test.npz", X=x[:10], y=Y[:10], counts=W[:10] + 1.0)
    np.savez(tmp_path / "bare.npz", X=x[:10], y=Y[:10])
    path, test = str(tmp_path / "t.npz"), str(tmp_path / "test.npz")
    samples = load(path, weights="Counts", test=test)
    np.testing.assert_array_equal(weights_of(samples), np.r_[W, W[:10] + 1.0])
    assert samples.weights is not None and samples.weights.column == "Counts"
    with pytest.raises(DataError, match="expected an array with the weight of each row, got none named 'count'"):
        load(path, weights="count")
    with pytest.raises(DataError, match=r"bare\.npz: expected an array with the weight of each row"):
        load(path, weights="Counts", test=str(tmp_path / "bare.npz"))


@pytest.mark.parametrize("make", [from_samples, from_images])
def test_a_test_part_beside_weights_has_weights_too(make: Any) -> None:
    x = SOURCE.random((ROWS, 4, 4))
    data = make(x, Y, sample_weight=W, test=(x[:20], Y[:20], np.r_[np.zeros(5), np.full(15, 3.0)]))
    np.testing.assert_array_equal(weights_of(data), np.r_[W, np.full(15, 3.0)])
    assert len(data.test_rows) == 15
    with pytest.raises(OptionError, match=r"test: expected \(x, y, weights\) beside sample_weight, got 2 values"):
        make(x, Y, sample_weight=W, test=(x[:20], Y[:20]))
    with pytest.raises(OptionError, match=r"test: expected \(x, y\) without sample_weight, got 3 values"):
        make(x, Y, test=(x[:20], Y[:20], W[:20]))


def test_what_loaders_test_on_has_no_weights() -> None:
    with pytest.raises(OptionError, match="whose weights would not be known"):
        from_batches([(X, Y)], test=[(X, Y)], sample_weight=W)


@pytest.mark.parametrize("values", [np.array([1.0, 0.0]), np.array([1.0, np.nan]), np.ones((2, 2)), np.ones(2, int)])
def test_weights_are_finite_numbers_above_zero(values: Any) -> None:
    with pytest.raises(DataError, match="expected a finite float64 weight above 0 for each row"):
        RowWeights(column="w", values=values)


def test_only_ratios_matter() -> None:
    weights, scaled = RowWeights(column="w", values=W.copy()), RowWeights(column="w", values=1e30 * W)
    rows = np.array([3, 1, 7])
    np.testing.assert_allclose(weights.of(rows), W[rows] / W[rows].mean())
    np.testing.assert_allclose(weights.of(rows), scaled.of(rows))
    assert weights.worth == pytest.approx(W.sum() ** 2 / (W**2).sum()) == pytest.approx(scaled.worth)


@pytest.mark.parametrize(
    ("least", "said"), [(1, "two classes with 5 or more rows, got 1"), (50, "20 rows with a target, got 10")]
)
def test_too_few_rows_are_told_with_those_left_out_for_their_weight(least: int, said: str) -> None:
    kept = (Y == 0) if least == 1 else np.arange(ROWS) >= least
    with pytest.raises(DataError, match=rf"{said}.*left out {ROWS - kept.sum()} rows of .* whose weight in 'w' is 0"):
        from_frame(frame(w=np.where(kept, W, 0.0)), "y", weights="w")
