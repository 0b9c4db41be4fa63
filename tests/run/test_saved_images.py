"""A saved model of images predicts what the network in memory does, from arrays and from files of any size."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regimen.data import Images, Preparation, from_arrays, from_images, hold_out, pair_split, prepare, read_features
from regimen.errors import DataError, StoreError
from regimen.models import MLP, parse_model
from regimen.run import Recipe, Run, SavedModel


def state_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def images_of(channels: int) -> Images:
    draws = np.random.default_rng(channels)
    return from_images(draws.integers(0, 256, (60, channels, 8, 8)), ["cat", "dog", "owl"] * 20)


def model_of(channels: int, name: str) -> tuple[Run, SavedModel]:
    images = images_of(channels)
    split = pair_split(images, hold_out(images).development, 1)
    run = Run(recipe=Recipe(), model=parse_model(name), data=images, split=split, key=1, metric="accuracy")
    return run, SavedModel.of(run, [state_of(run.network(images.shape, 3))])


@pytest.mark.parametrize("name", ["cnn:4,6p:10", "mlp:12"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_model_of_images_predicts_what_the_network_does(channels: int, name: str, tmp_path: Path) -> None:
    run, model = model_of(channels, name)
    model.save(tmp_path)
    again = SavedModel.load(tmp_path)
    assert (again.preparation, again.model, again.classes) == (model.preparation, model.model, ("cat", "dog", "owl"))
    prepared = prepare(run.data, run.split)
    network = run.network(prepared.inputs, prepared.outputs).eval()
    with torch.no_grad():
        expected = network(prepared.scaled(prepared.x["validation"])).double().numpy()
    found = again.predict_outputs(run.data)[run.split.validation]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert json.loads((tmp_path / "model.json").read_text())["preparation"]["kind"] == "images"


def test_predictions_do_not_depend_on_how_many_rows_are_predicted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run, model = model_of(3, "cnn:4p:10")
    whole = model.predict_outputs(run.data)
    monkeypatch.setattr("regimen.run.saved.CHUNK", 200)
    np.testing.assert_allclose(model.predict_outputs(run.data), whole, rtol=1e-5, atol=1e-6)


def save_rows(images: Images, folder: Path, *, nested: bool) -> None:
    for row, pixels in enumerate(images.pixels):
        path = folder / (images.classes[images.y[row]] if nested else "") / f"{row:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path)


@pytest.mark.parametrize("nested", [False, True])
def test_folders_of_images_are_predicted_file_by_file(nested: bool, tmp_path: Path) -> None:
    run, model = model_of(3, "mlp:12")
    assert isinstance(run.data, Images)
    save_rows(run.data, tmp_path, nested=nested)
    (tmp_path / "broken.jpg").write_bytes(b"x")
    rows = read_features(str(tmp_path), model.preparation)
    assert rows.notes == ("left out 1 file, unreadable or cut off: 'broken.jpg'",)
    numbers = [int(Path(name).stem) for name in rows.row_names]
    assert sorted(numbers) == list(range(60))
    np.testing.assert_allclose(model.predict_outputs(rows), model.predict_outputs(run.data)[numbers], rtol=1e-6)


def test_one_image_of_another_size_and_colour_is_resized_as_in_training(tmp_path: Path) -> None:
    _, model = model_of(1, "mlp:12")
    Image.new("RGB", (80, 40), (30, 30, 30)).save(tmp_path / "one.png")
    rows = read_features(str(tmp_path / "one.png"), model.preparation)
    assert (rows.pixels == 30).all() and rows.shape == (1, 8, 8)
    assert rows.row_names == ("one.png",)
    assert [note.split(" (")[0] for note in rows.notes] == [
        "resized to 8 x 8",
        "in colours, read as grey: 1 of 1 image",
    ]
    assert len(model.predict(rows)) == 1


def test_idx_images_are_predicted_without_labels(tmp_path: Path) -> None:
    run, model = model_of(1, "mlp:12")
    assert isinstance(run.data, Images)
    path = tmp_path / "new-images-idx3-ubyte"
    path.write_bytes(struct.pack(">HBB3I", 0, 8, 3, 60, 8, 8) + run.data.pixels.tobytes())
    found = model.predict_outputs(read_features(str(path), model.preparation))
    assert np.array_equal(found, model.predict_outputs(run.data))


def test_a_table_and_images_are_not_taken_for_each_other(tmp_path: Path) -> None:
    run, model = model_of(1, "mlp:12")
    table = from_arrays(np.random.default_rng(1).normal(size=(40, 64)), [0, 1] * 20)
    with pytest.raises(DataError, match="expected images, which the model was trained on, got a table"):
        model.predict(table)
    split = pair_split(table, hold_out(table).development, 1)
    other = Run(recipe=Recipe(), model=MLP(hidden=(4,)), data=table, split=split, key=1, metric="accuracy")
    of_table = SavedModel.of(other, [state_of(other.network(64, 2))])
    assert isinstance(of_table.preparation, Preparation)
    with pytest.raises(DataError, match="expected a table, which the model was trained on, got images"):
        of_table.predict(run.data)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for source in ("table.csv", "nothing", "."):
        with pytest.raises(DataError, match="expected"):
            read_features(str(tmp_path / source), model.preparation)


def test_a_preparation_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    _, model = model_of(3, "mlp:12")
    model.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"kind": "images"', '"kind": "sounds"'))
    with pytest.raises(StoreError):
        SavedModel.load(tmp_path)
