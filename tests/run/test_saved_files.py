"""What is missing, damaged, cut short, mixed up or foreign in a saved model is refused, never read wrongly."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import StoreError
from regimen.run import SavedModel, recipe_to_toml
from regimen.run.saved_files import Description, State, write_files

from .recipes import BASE, CLASSES, FEATURES, run_of

FILES = ("model.json", "model.safetensors")


def untrained(key: int = 5, **changes: Any) -> SavedModel:
    run = run_of(BASE.replace(**changes), "classification")
    state = {name: value.numpy() for name, value in run.network(FEATURES, CLASSES).state_dict().items()}
    return SavedModel.of(run, [{name: value + (key - 5) for name, value in state.items()}], keys=[key])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    untrained().save(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_of_a_model_holds_two_files_and_neither_is_a_pickle(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert (described["schema"], described["model"]) == (1, "mlp:7x6:tanh")
    assert described["preparation"]["classes"] == ["a", "b", "c"] and described["recipe"].startswith("lr = ")
    header = (folder / "model.safetensors").read_bytes()[8:]
    assert json.JSONDecoder().raw_decode(header[: header.index(b"}}") + 2].decode())[0]["0.weight"]["shape"] == [7, 5]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StoreError, match=rf"expected a saved model: .*{name}: No such file"):
        SavedModel.load(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        SavedModel.load(tmp_path / "nowhere")


@given(name=st.sampled_from(FILES), data=st.data())
def test_a_file_with_a_changed_byte_is_refused_unless_it_says_the_same(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    model = untrained()
    model.save(folder)
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    (folder / name).write_bytes(content)
    try:
        again = SavedModel.load(folder)
    except StoreError:
        return
    # A blank of the JSON's layout, say.
    assert name == "model.json" and again.preparation == model.preparation and again.recipe == model.recipe


@given(name=st.sampled_from(FILES), share=st.floats(0.0, 1.0, exclude_max=True))
def test_a_file_that_was_cut_short_is_refused(
    name: str, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    untrained().save(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError, match=r"damaged|schema"):
        SavedModel.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[1]", "schema None"),
        ('{"schema": 2}', "schema 2; this version of regimen reads schema 1"),
        ('{"schema": 1}', "not of one save"),
        ("[" * 100_000, "damaged"),
        ("\udcff", "damaged"),
    ],
    ids=["empty", "a list", "a later schema", "nothing else", "nested", "no text"],
)
def test_json_that_describes_no_model_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=message):
        SavedModel.load(folder)


def test_tensors_of_another_save_are_refused(folder: Path, tmp_path: Path) -> None:
    untrained(key=6).save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(StoreError, match="not of one save"):
        SavedModel.load(folder)


def test_json_that_was_only_laid_out_anew_is_read(folder: Path) -> None:
    path = folder / "model.json"
    path.write_bytes(msgspec.json.encode(json.loads(path.read_text()), order="sorted") + b"\r\n")
    assert SavedModel.load(folder).keys == (5,)


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "2.bias"), r"expected 2\.bias of mlp:7x6:tanh to be float32 \[6\], got nothing"),
        (lambda s: {**s, "9.weight": s["0.weight"]}, r"expected 9\.weight of .* to be absent, got float32 \[7, 5\]"),
        (lambda s: {**s, "0.weight": s["0.weight"].T.copy()}, r"to be float32 \[7, 5\], got float32 \[5, 7\]"),
        (lambda s: {**s, "0.weight": s["0.weight"].astype(np.float64)}, r"to be float32 \[7, 5\], got float64"),
        (lambda s: {**s, "0.bias": np.zeros((1, 7), dtype=np.float32)}, r"to be float32 \[7\], got float32 \[1, 7\]"),
    ],
    ids=["missing", "beside", "turned", "wide", "another dimension"],
)
def test_tensors_of_another_network_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    model = untrained()
    described = Description(
        model=model.model.name, recipe=recipe_to_toml(model.recipe), keys=(5,), preparation=model.preparation
    )
    write_files(tmp_path, described, [change(model.states[0])])
    with pytest.raises(StoreError, match=message):
        SavedModel.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "rnn"}, "expected mlp"),
        ({"model": "mlp:7x6x5:tanh"}, r"expected 4\.weight"),
        ({"recipe": "droput = 0.5"}, "did you mean 'dropout'"),
        ({"keys": ()}, "0 networks"),
        ({"keys": (5, 6)}, "got nothing|expected tensors of 2"),
        ({"keys": (-1,)}, "key: expected a whole number"),
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_the_tensors_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model = untrained()
    fields = {"model": model.model.name, "recipe": recipe_to_toml(model.recipe), "keys": (5,)} | changes
    write_files(tmp_path, Description(preparation=model.preparation, **fields), model.states)
    with pytest.raises(StoreError, match=message):
        SavedModel.load(tmp_path)


@pytest.mark.parametrize("failing", FILES)
def test_saving_that_fails_halfway_never_leaves_a_mixture_that_loads(
    folder: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == failing:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match=r"could not save the model in .*: No space left on device"):
        untrained(key=6).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    if failing == "model.safetensors":
        assert SavedModel.load(folder).keys == (5,)
    else:
        with pytest.raises(StoreError, match="not of one save"):
            SavedModel.load(folder)


def test_a_model_saved_over_another_takes_its_place(folder: Path) -> None:
    untrained(key=6, dropout=0.5).save(folder)
    assert (SavedModel.load(folder).keys, SavedModel.load(folder).recipe.dropout) == ((6,), (0.5,))


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not save the model"):
        untrained().save(tmp_path / "file")
