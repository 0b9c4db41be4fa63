"""A network of the user's own: named, told apart by what it does, made anew each time, and sent to other processes."""

import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regimen.errors import EngineError, OptionError
from regimen.models import MLP, OwnModule, own_module, parse_model

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.hidden, self.out = nn.Linear(4, width), nn.Linear(width, 3)

    def forward(self, x):
        return self.out(self.hidden(x).relu())

def wide():
    return Net(16)

width = 3
made = Net()
"""


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.out = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.out(x)
        return output


def write(text: str, name: str = "net.py") -> str:
    Path(name).write_text(textwrap.dedent(text))
    return name


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def executed(source: str, name: str = "Net") -> Callable[[], nn.Module]:
    """Return a class of a notebook that has no source any more."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    found: Callable[[], nn.Module] = namespace[name]
    return found


def test_a_module_is_named_by_file_and_function_wherever_the_file_is() -> None:
    Path("nets").mkdir()
    write(NET, "nets/net.py")
    write(NET)
    assert parse_model("nets/net.py:Net").name == "net.py:Net"
    assert parse_model("nets/net.py:Net") == parse_model("net.py:Net")
    assert hash(parse_model("nets/net.py:Net")) == hash(parse_model("net.py:Net"))
    assert own_module(Net).name == "Net"
    assert own_module(lambda: Net()).name == "lambda"
    assert own_module(partial(Net, 5)).name == "Net"


def test_a_described_model_is_parsed_as_before() -> None:
    assert parse_model("mlp:8") == MLP(hidden=(8,))
    with pytest.raises(OptionError, match=r"or FILE\.py:FUNCTION, got 'net'"):
        parse_model("net")


@pytest.mark.parametrize(
    "changed",
    [
        NET.replace("relu", "tanh"),
        NET.replace("width=8", "width=9"),
        NET.replace("nn.Linear(4, width)", "nn.Linear(4, width, bias=False)"),
    ],
)
def test_another_source_is_another_module(changed: str) -> None:
    write(NET)
    before = parse_model("net.py:Net")
    write(changed)
    assert parse_model("net.py:Net") != before


def test_another_neighbour_that_is_imported_is_another_module() -> None:
    write("from torch import nn\nfrom sizes_next_door import width\ndef net():\n    return nn.Linear(4, width())\n")
    write("def width():\n    return 3\n", "sizes_next_door.py")
    before = parse_model("net.py:net")
    write("def width():\n    return 1 + 2\n", "sizes_next_door.py")
    assert parse_model("net.py:net").digest != before.digest


def test_two_functions_of_a_file_are_two_modules() -> None:
    write(NET)
    assert parse_model("net.py:Net") != parse_model("net.py:wide")


def test_functions_are_told_apart_by_source_and_by_what_is_bound_to_them() -> None:
    def of_width(width: int) -> Callable[[], nn.Module]:
        return lambda: Net(width)

    assert own_module(of_width(5)) == own_module(of_width(5))
    assert own_module(of_width(5)) != own_module(of_width(6))
    assert own_module(lambda: Net(5)) == own_module(lambda: Net(5)), "whatever statement they stand in"
    assert own_module(lambda: Net(5)) != own_module(lambda: Net(6))
    assert own_module(partial(Net, 5)) != own_module(partial(Net, 6))
    assert own_module(partial(Net, 5)) == own_module(partial(Net, 5))


def test_a_value_that_shows_in_no_layer_tells_functions_apart_too() -> None:
    class Scaled(Net):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

    def scaled(factor: float) -> Callable[[], nn.Module]:
        return lambda: Scaled(factor)

    assert own_module(scaled(2.0)) != own_module(scaled(3.0))


def test_pretrained_weights_tell_modules_apart_and_drawn_ones_do_not() -> None:
    def pretrained(value: float) -> Callable[[], nn.Module]:
        weights = torch.full((3, 4), value)

        def net() -> nn.Module:
            made = nn.Linear(4, 3)
            made.weight = nn.Parameter(weights.clone())
            return made

        return net

    assert own_module(pretrained(1.0)) == own_module(pretrained(1.0))
    assert own_module(pretrained(1.0)) != own_module(pretrained(2.0))


def test_a_class_without_source_is_told_apart_by_its_code() -> None:
    plain, other = executed(NET), executed(NET.replace("relu", "tanh"))
    assert own_module(plain) == own_module(executed("\n\n" + NET))
    assert own_module(plain) != own_module(other)


def test_every_call_makes_a_new_module_and_describing_one_draws_nothing() -> None:
    state = torch.get_rng_state()
    own = own_module(Net)
    assert torch.equal(torch.get_rng_state(), state)
    assert own.make() is not own.make()


@pytest.mark.parametrize(
    "source", ["net.py:Net", Net, lambda: Net(5), partial(Net, 5)], ids=["file", "class", "lambda", "partial"]
)
def test_a_module_is_pickled(source: Any) -> None:
    write(NET)
    own = own_module(source)
    again = pickle.loads(pickle.dumps(own))
    assert again == own
    assert str(again.make()) == str(own.make())


SCRIPT = """
import multiprocessing
import torch
from torch import nn
from regimen.models import own_module

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)

def width(own):
    return own.make().out.out_features

if __name__ == "__main__":
    exec("class Typed(Mine):\\n    pass")
    models = [own_module(kind) for kind in (Mine, lambda: Mine(), Typed)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(width, models))
"""


def test_classes_and_lambdas_of_a_script_reach_new_processes() -> None:
    write(SCRIPT, "script.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "script.py"], env=environment, capture_output=True, text=True, timeout=120)
    assert found.stdout == "[3, 3, 3]\n", found.stderr


def test_a_file_that_has_changed_is_not_run_in_place_of_the_old_one() -> None:
    write(NET)
    place: Any = own_module("net.py:Net").factory
    write(NET.replace("relu", "tanh"))
    # As a process that has not run the file yet gets it.
    elsewhere = replace(place, path=Path("moved.py"))
    with pytest.raises(EngineError, match=r"net\.py has changed, or is gone"):
        elsewhere()
    Path("net.py").rename("moved.py")
    with pytest.raises(EngineError, match=r"net\.py has changed, or is gone"):
        elsewhere()


def test_running_a_file_leaves_threads_and_generator_alone() -> None:
    write(NET + "import torch\ntorch.manual_seed(1)\ntorch.set_num_threads(torch.get_num_threads() + 1)\n")
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    parse_model("net.py:Net")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


shared = Net()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("net.py", "add :FUNCTION"),
        ("none.py:net", r"there is no file none\.py"),
        ("net.py:made", "one that is made already"),
        ("net.py:width", "width is int"),
        ("net.py:wid", r"there is none of that name; did you mean 'wide'\?"),
        ("syntax.py:net", r"running syntax\.py raised SyntaxError"),
        (Net(), "every run needs fresh weights; give a function that makes a new one each time"),
        (lambda: shared, "lambda returns the same module each time"),
        (lambda: nn.Sequential(shared.out), "returns the same parameters each time"),
        (lambda: 5, r"expected lambda\(\) to return a torch\.nn\.Module, got int"),
        (lambda: None, "got None; let it end in `return`"),
        (lambda: 1 / 0, r"lambda\(\) raised ZeroDivisionError: division by zero \(line \d+\); correct it"),
        (nn.Linear, "Linear needs arguments"),
        (7, "expected a function that makes a torch.nn.Module, got int"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_makes_no_module_is_refused_with_the_repair(source: Any, message: str) -> None:
    write(NET)
    write("def net(:\n", "syntax.py")
    with pytest.raises(OptionError, match=message):
        own_module(source)


def test_a_function_that_holds_on_to_something_unpicklable_is_refused() -> None:
    lock = threading.Lock()

    def factory() -> nn.Module:
        with lock:
            return Net()

    with pytest.raises(OptionError, match="pickling factory for worker processes raised TypeError"):
        own_module(factory)


def test_a_lazy_module_is_described_before_it_knows_its_shapes() -> None:
    assert isinstance(own_module(lambda: nn.LazyLinear(3)), OwnModule)
