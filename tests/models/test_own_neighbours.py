"""Files beside a file of the user's own: part of its digest, found while it runs, unseen by other folders."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from regimen.data import hold_out, load, pair_split
from regimen.engine import train
from regimen.errors import OptionError
from regimen.models import own_module
from regimen.run import Recipe, Run

NET = "from torch import nn\nfrom {} import width\ndef net():\n    return nn.Linear(4, width)\n"
LATE = "from torch import nn\ndef net():\n    from parts import width\n    return nn.Linear(4, width)\n"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def outputs(name: str) -> int:
    made = own_module(name).make()
    assert isinstance(made, nn.Linear)
    return made.out_features


@pytest.mark.parametrize("changed", ["pack/__init__.py", "pack/deep/__init__.py", "pack/deep/block.py", "pack/size.py"])
def test_packages_and_what_they_import_relatively_belong_to_the_source(changed: str) -> None:
    write("net.py", NET.format("pack.deep.block"))
    write("pack/__init__.py", "")
    write("pack/deep/__init__.py", "")
    write("pack/deep/block.py", "from ..size import width\nfrom . import other\n")
    write("pack/deep/other.py", "")
    write("pack/size.py", "width = 3\n")
    before = own_module("net.py:net").digest
    assert own_module("net.py:net").digest == before
    write(changed, Path(changed).read_text() + "# changed\n")
    assert own_module("net.py:net").digest != before


@pytest.mark.parametrize("text", [NET.format("parts"), LATE], ids=["imported at the top", "imported in the call"])
def test_neighbours_of_one_name_in_two_folders_are_two(text: str) -> None:
    for folder, width in (("one", 3), ("two", 5)):
        write(f"{folder}/net.py", text)
        write(f"{folder}/parts.py", f"width = {width}\n")
    first, path = own_module("one/net.py:net"), list(sys.path)
    assert outputs("two/net.py:net") == 5
    assert outputs("one/net.py:net") == 3
    assert str(first.make()) == "Linear(in_features=4, out_features=3, bias=True)"
    assert "parts" not in sys.modules
    assert sys.path == path


def test_a_module_that_was_imported_before_is_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    write("mine/parts.py", "width = 7\n")
    write("net.py", NET.format("parts"))
    write("parts.py", "width = 3\n")
    monkeypatch.syspath_prepend(str(Path("mine").resolve()))
    mine = __import__("parts")
    try:
        assert outputs("net.py:net") == 3
        assert sys.modules["parts"] is mine
    finally:
        del sys.modules["parts"]


def test_a_neighbour_is_imported_once_for_a_file_and_its_calls() -> None:
    write("parts.py", "class Kind:\n    pass\n")
    write(
        "net.py",
        "from torch import nn\nimport parts\ndef net():\n    from parts import Kind\n"
        "    return nn.Linear(4, 3 if Kind is parts.Kind else 9)\n",
    )
    assert outputs("net.py:net") == 3


def test_a_file_that_raises_leaves_nothing_behind() -> None:
    write("parts.py", "width = 3\n")
    write("net.py", "import sys, torch, parts\nsys.path.append('x')\ntorch.set_num_threads(7)\nraise ValueError\n")
    threads, path, modules = torch.get_num_threads(), list(sys.path), set(sys.modules)
    assert threads != 7
    with pytest.raises(OptionError, match=r"running net\.py raised ValueError"):
        own_module("net.py:net")
    assert torch.get_num_threads() == threads
    assert sys.path == path
    assert set(sys.modules) == modules


FORWARD = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)
    def forward(self, x):
        {}
        return self.out(x) * scale
"""
INNER = "def late():\n    from pack.deep import scale\n    return scale\n"


@pytest.mark.parametrize(
    "line",
    [
        "from parts import scale",
        "import parts; scale = parts.scale",
        "import pack.deep as deep; scale = deep.scale",
        "from pack import deep; scale = deep.scale",
        "from helper import late; scale = late()",
        "from pack.above import late; scale = late()",
    ],
)
def test_a_neighbour_is_found_when_forward_imports_it_long_after_the_file_was_run(line: str) -> None:
    for folder, scale in (("one", 3.0), ("two", 5.0)):
        write(f"{folder}/net.py", FORWARD.format(line))
        for file in ("parts.py", "pack/deep.py"):
            write(f"{folder}/{file}", f"scale = {scale}\n")
        write(f"{folder}/pack/__init__.py", "")
        write(f"{folder}/helper.py", INNER)
        write(f"{folder}/pack/above.py", INNER.replace("pack.deep", ".deep"))
    path, finders, modules = list(sys.path), list(sys.meta_path), set(sys.modules)
    made = {folder: own_module(f"{folder}/net.py:Net").make() for folder in ("one", "two")}
    for network in (made["two"], made["one"], made["two"]):
        scale = 3.0 if network is made["one"] else 5.0
        assert torch.equal(network(torch.ones(2, 4)), network.out(torch.ones(2, 4)) * scale)
    assert (sys.path, sys.meta_path) == (path, finders)
    before = own_module("one/net.py:Net").digest
    write("one/parts.py", "scale = 4.0\n")
    assert (own_module("one/net.py:Net").digest != before) == ("parts" in line)
    new = {name for name in set(sys.modules) - modules if not name.startswith("regimen_user_")}
    assert not {name.partition(".")[0] for name in new} & {"parts", "pack", "helper"}


def test_a_forward_that_imports_a_neighbour_trains_in_worker_processes() -> None:
    write("net.py", FORWARD.format("from parts import scale"))
    write("parts.py", "scale = 2.0\n")
    data = load("iris")
    runs = [
        Run(
            recipe=Recipe(epochs=1, batch_size=60),
            model=own_module("net.py:Net"),
            data=data,
            split=pair_split(data, hold_out(data).development, key=key),
            key=key,
            metric="accuracy",
        )
        for key in (1, 2)
    ]
    results = train(runs, engine="reference", processes=2)
    assert [result.status for result in results] == ["finished", "finished"]
