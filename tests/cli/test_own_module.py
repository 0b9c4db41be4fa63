"""A module of the user's own on the command line: studied, resumed, trained; a mistake is one message."""

import json
import shutil
from pathlib import Path

import pytest

from regimen.store import Store

from .conftest import Regimen, run

NET = """
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.hidden, self.drop, self.out = nn.Linear(4, width), nn.Dropout(0.1), nn.Linear(width, 3)

    def forward(self, x):
        return self.out(self.drop(F.relu(self.hidden(x))))

def wide():
    return Net(16)

def narrow():
    return nn.Sequential(nn.Linear(4, 2))

def frozen():
    return Net().requires_grad_(False)

def raising():
    class Raising(Net):
        def forward(self, x):
            return self.out(self.hiden(x))
    return Raising()

def pair():
    class Pair(Net):
        def forward(self, x):
            return super().forward(x), x
    return Pair()
"""
TINY = ("--techniques", "dropout,channel_dropout,he,batch_norm", "--pairs", "2", "--epochs", "1", "--processes", "1")
OWN = ("study", "iris", "--model", "net.py:Net", *TINY)


@pytest.fixture(scope="module")
def own_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the user's file and a finished study of it; do not write into it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run("study", "iris", "--model", "net.py:Net", *("--techniques", "dropout,he"), *TINY[2:], "--out", "s")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def there(own_study: Path, regimen: Regimen) -> Regimen:
    """Run commands in a copy of that folder."""
    shutil.copytree(own_study, ".", dirs_exist_ok=True)
    return regimen


def test_a_study_of_a_module_of_ones_own_leaves_what_every_study_leaves(own_study: Path) -> None:
    results = json.loads((own_study / "s" / "results.json").read_text())
    assert results["model"] == {"name": "net.py:Net", "parameters": 67}
    assert len(results["plan"]["model_digest"]) == 64
    assert "from net import Net\nmodel = Net()\n" in results["recipe"]["code"]
    recipe = (own_study / "s" / "recipe.toml").read_text()
    assert recipe.startswith("# regimen train iris --recipe s/recipe.toml --model net.py:Net\n")
    stored = json.loads((own_study / "s" / "model.json").read_text())
    assert (stored["model"], stored["model_digest"]) == ("net.py:Net", results["plan"]["model_digest"])
    assert not list((own_study / "s").glob("*.py"))


def test_predicting_names_the_module_again(there: Regimen) -> None:
    alone = there("predict", "s", "iris")
    assert alone.exit_code == 2
    assert "s holds the weights of net.py:Net, a module of your own, and no code" in alone.stderr
    named = there("predict", "s", "iris", "--model", "net.py:Net")
    assert named.exit_code == 0, named.output
    assert len(named.stdout.splitlines()) == 151
    assert "is not as it was" not in named.stderr


def test_a_module_that_has_changed_predicts_with_a_note_and_another_does_not(there: Regimen) -> None:
    Path("net.py").write_text(NET + "# later\n")
    later = there("predict", "s", "iris", "--model", "net.py:Net")
    assert later.exit_code == 0, later.output
    assert "note: net.py:Net is not as it was when the model was trained" in later.stderr
    other = there("predict", "s", "iris", "--model", "net.py:wide")
    assert other.exit_code == 2
    assert "net.py:wide does not take the weights in s: expected hidden.weight" in other.stderr
    assert "cannot be read" not in other.stderr


def test_what_a_module_prints_does_not_stand_among_the_predictions(there: Regimen) -> None:
    loud = NET.replace("        return self.out(self.drop", "        print('loud')\n        return self.out(self.drop")
    Path("net.py").write_text(loud)
    result = there("predict", "s", "iris", "--model", "net.py:Net")
    assert result.exit_code == 0, result.output
    assert "loud" not in result.stdout
    assert "loud" in result.stderr


def test_a_stored_model_that_names_a_file_runs_none(there: Regimen) -> None:
    Path("evil.py").write_text("raise SystemExit('it ran')\n")
    path = Path("s/model.json")
    content = json.loads(path.read_text()) | {"model": "evil.py:net"}
    del content["model_digest"]
    path.write_text(json.dumps(content))
    result = there("predict", "s", "iris")
    assert result.exit_code == 2
    assert "it ran" not in result.output


def test_going_on_needs_the_same_source(there: Regimen) -> None:
    alone = there("study", "iris", "--out", "s", "--resume")
    assert alone.exit_code == 2
    assert "the stored study is of the module net.py:Net: expected it again, got none" in alone.stderr
    again = there("study", "iris", "--out", "s", "--resume", "--model", "net.py:Net", "--techniques", "dropout,he")
    assert again.exit_code == 0, again.output
    other = there("study", "iris", "--out", "s", "--resume", "--model", "net.py:wide")
    assert "the stored plan has --model net.py:Net, not net.py:wide" in other.stderr
    Path("net.py").write_text(NET.replace("F.relu", "F.silu"))
    changed = there("study", "iris", "--out", "s", "--resume", "--model", "net.py:Net")
    assert changed.exit_code == 2
    assert "with another source than net.py:Net has now: it cannot go on; restore the source" in changed.stderr


def test_the_summary_shows_what_a_recipe_does_to_the_module_and_where(there: Regimen) -> None:
    Path("mine.toml").write_text('dropout = 0.5\nnormalization = "batch"\n')
    result = there("summary", "net.py:Net", "--data", "iris", "--recipe", "mine.toml")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    changes = lines[lines.index("With this recipe the module has:") + 1 :]
    assert changes == [
        "drop dropout 0.5 (was 0.1), site 2",
        "after hidden (net.py line 11) batch normalization of 8 features",
    ]
    assert any("BatchNorm1d [-1, 8] 16" in line for line in lines)


def test_the_summary_of_saved_weights_needs_the_module_and_no_other_does(there: Regimen) -> None:
    alone = there("summary", "s")
    assert alone.exit_code == 2
    assert "a module of your own, and no code" in alone.stderr
    named = there("summary", "s", "--model", "net.py:Net")
    assert named.exit_code == 0, named.output
    assert "net.py:Net, 4 inputs" in named.stdout and "Total params: 67" in named.stdout
    for model in ("mlp:8", "net.py:Net"):
        twice = there("summary", model, "--model", "net.py:Net", "--inputs", "4")
        assert twice.exit_code == 2
        assert "--model: names the module behind a folder's weights; leave it out" in twice.stderr


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("net.py:narrow", "net.py:narrow: expected outputs [2, 3] for 2 rows in eval mode, one logit for each of 3"),
        ("net.py:frozen", "expected parameters that can be trained, got 4 that are frozen"),
    ],
)
def test_the_summary_with_data_refuses_what_a_study_would(regimen: Regimen, model: str, message: str) -> None:
    Path("net.py").write_text(NET)
    refused = regimen("summary", model, "--data", "iris")
    assert refused.exit_code == 2 and message in refused.stderr
    assert regimen("summary", model, "--inputs", "4").exit_code == 0


def test_columns_that_were_left_out_are_told_to_a_module_that_counted_on_them(regimen: Regimen) -> None:
    Path("net.py").write_text(NET)
    lines = [f"{i + 1},{i % 7},{i * 37 % 101 / 7},k,{['red', 'green', 'blue'][i % 3]},{i % 3}" for i in range(60)]
    Path("t.csv").write_text("\n".join(["id,a,b,same,colour,y", *lines]) + "\n")
    refused = regimen("study", "t.csv", "--target", "y", "--model", "net.py:Net", *TINY)
    assert refused.exit_code == 2
    for told in (
        "let it take float32 inputs [rows, 5] (t has 5 inputs from 3 columns, where each level of a category is an",
        "; left out column 'id': it numbers the rows; left out column 'same': it is constant (k))",
    ):
        assert told in refused.stderr
    assert not Path("runs").exists()


def test_a_recipe_trains_a_module_of_ones_own(there: Regimen) -> None:
    result = there("train", "iris", "--recipe", "s/recipe.toml", "--model", "net.py:Net", "--out", "t")
    assert result.exit_code == 0, result.output
    assert "1 network net.py:Net, trained on 120 rows of iris" in result.stdout
    assert there("predict", "t", "iris", "--model", "net.py:Net").exit_code == 0


def test_techniques_that_do_not_fit_are_left_out_with_the_reason(regimen: Regimen) -> None:
    Path("net.py").write_text(
        NET + "\ndef drawn():\n    class Drawn(Net):\n        def forward(self, x):\n"
        "            return super().forward(x) if x.sum() > -1e9 else x\n    return Drawn()\n"
    )
    result = regimen("study", "iris", "--model", "net.py:drawn", *TINY, "--out", "s")
    assert result.exit_code == 0, result.output
    with Store(Path("s"), create=False) as store:
        plan = store.plan()
    assert plan is not None
    assert {arm["technique"] for arm in plan["arms"]} == {"dropout", "he"}
    for note in (
        "net.py:drawn, Drawn: not looked into (",
        "dropout=0.1 is left out: it changes nothing in net.py:drawn",
        "batch_norm is left out: normalization: nothing can be inserted into Drawn",
    ):
        assert any(found.startswith(note) for found in plan["notes"]), note
        assert f"note: {note}" in result.stderr


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("net.py:narrow", "net.py:narrow: expected outputs [2, 3] for 2 rows in eval mode, one logit for each of 3"),
        ("net.py:frozen", "expected parameters that can be trained, got 4 that are frozen"),
        ("net.py:raising", "raised AttributeError: 'Raising' object has no attribute 'hiden' (line 25); correct it"),
        ("net.py:pair", "got a tuple of 2; return one tensor of outputs [rows, 3]"),
        ("net.py:wid", "expected a function wid in net.py, there is none of that name; did you mean 'wide'?"),
        ("nets.py:Net", "there is no file nets.py"),
    ],
)
@pytest.mark.parametrize("command", ["study", "train"])
def test_a_module_that_can_not_be_trained_is_refused_before_anything_is_written(
    regimen: Regimen, command: str, model: str, message: str
) -> None:
    Path("net.py").write_text(NET)
    Path("recipe.toml").write_text("epochs = 1\n")
    before = sorted(path.name for path in Path().iterdir())
    options = TINY if command == "study" else ("--recipe", "recipe.toml")
    result = regimen(command, "iris", "--model", model, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert sorted(path.name for path in Path().iterdir() if path.name != "__pycache__") == before
