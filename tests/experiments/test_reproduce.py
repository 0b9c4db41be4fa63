"""`regimen reproduce`: names, files, what fails beside what does not, and Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from regimen.cli import app
from regimen.cli.experiment_meter import ExperimentMeter
from regimen.errors import DataError, OptionError
from regimen.experiments import Context, Entry, Numbers, Outcome, Picture, Row, catalogue, find_entries, pictures
from regimen.experiments.context import Listing

Regimen = Callable[..., Result]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fake(Entry):
    function: Callable[[Context], Outcome]

    def run(self, context: Context) -> Outcome:
        return self.function(context)


def outcome(context: Context) -> Outcome:
    for _ in range(2):
        context.counter(2, 1.0)()
    with pictures.look():
        figure, (axes,) = pictures.canvas()
        pictures.line(axes, [0, 1], [0, 1])
    return Outcome(
        rows=(
            Row(part="X", variant="as_posted", quantity="weight <b>", unit="", posted=4.0042, measured=4.00422),
            Row.over([98.1, 98.3], part="X", variant="corrected", quantity="accuracy", unit="%"),
        ),
        pictures=(Picture(name="curves", caption="A line & its end.", figure=figure),),
        remarks=(f"size {context.size}, {context.processes} at a time",),
        listings=(Listing(title="Layers", text="Linear 4 -> 2"),),
    )


def no_data(context: Context) -> Outcome:
    raise DataError("mnist: expected the files in /somewhere, got none; put them there")


def ctrl_c(context: Context) -> Outcome:
    signal.raise_signal(signal.SIGINT)
    raise AssertionError("unreachable")


def fake(name: str, part: str, function: Callable[[Context], Outcome] = outcome) -> Fake:
    return Fake(
        name=name,
        part=part,
        title=f"Title of {name}",
        post="The post says so.",
        mistakes=("It divides by i.",),
        home="",
        seconds_quick=1.0,
        seconds=90.0,
        seconds_full=600.0,
        function=function,
    )


@pytest.fixture
def regimen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regimen:
    """Run `regimen reproduce` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["reproduce", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the catalogue."""

    def replace(*found: Entry) -> None:
        monkeypatch.setattr(catalogue, "ENTRIES", found)
        monkeypatch.setattr("regimen.experiments.writing.ENTRIES", found)

    return replace


def test_an_experiment_writes_numbers_pictures_and_pages_and_prints_its_figures(
    regimen: Regimen, entries: Callable[..., None]
) -> None:
    entries(fake("group/demo", "X.1"))
    result = regimen("--quick", "--processes", 2)
    assert result.exit_code == 0, result.output
    folder = Path("runs/reproduce/group/demo")
    assert {path.name for path in folder.iterdir()} == {"numbers.json", "index.html", "curves.svg", "curves.png"}
    found = Numbers.read(folder / "numbers.json")
    assert (found.name, found.rows) == ("group/demo", outcome(Context()).rows)
    assert re.search(r"weight <b> +4\.0042 +4\.0042 +1$", result.stdout, re.M)
    assert "98.20 ± 0.14 %" in result.stdout
    assert "size quick, 2 at a time" in result.stdout
    page = (folder / "index.html").read_text()
    for shown in (
        "weight &lt;b&gt;",
        'src="curves.svg"',
        "A line &amp; its end.",
        "Linear 4 -&gt; 2",
        "It divides by i.",
    ):
        assert shown in page
    assert "<script" not in page
    assert 'href="../../index.html"' in page
    assert 'href="group/demo/index.html"' in Path("runs/reproduce/index.html").read_text()


def test_the_expected_time_is_said_before_anything_is_done(regimen: Regimen, entries: Callable[..., None]) -> None:
    entries(fake("one", "X"), fake("two", "Y", no_data))
    for option, time in (("--quick", "2.0 s"), ("--full", "20 min"), ((), "3 min")):
        result = regimen(*([option] if option else []))
        assert result.stderr.splitlines()[0].startswith(f"2 experiments, about {time} on two quiet cores")


def test_an_experiment_without_data_says_so_and_the_others_are_done(
    regimen: Regimen, entries: Callable[..., None]
) -> None:
    entries(fake("one", "X", no_data), fake("two", "Y"))
    result = regimen("--out", "here")
    assert result.exit_code == 1
    assert "regimen: one: mnist: expected the files in /somewhere, got none; put them there" in result.stderr
    assert "again with: regimen reproduce one --out here" in result.stderr
    assert not Path("here/one").exists()
    assert Path("here/two/numbers.json").is_file()


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(regimen: Regimen, entries: Callable[..., None]) -> None:
    entries(fake("none", "W", no_data), fake("one", "X"), fake("two", "Y", ctrl_c), fake("three", "Z"))
    result = regimen("all", "--quick", "--out", "my runs")
    assert result.exit_code == 130
    assert "interrupted; 1 finished experiment kept in my runs; go on with:" in result.stderr
    assert result.stderr.splitlines()[-1] == "  regimen reproduce none two three --quick --out 'my runs'"
    assert Path("my runs/one/numbers.json").is_file()
    assert not Path("my runs/two").exists()


def test_ctrl_c_in_the_first_experiment_leaves_nothing(regimen: Regimen, entries: Callable[..., None]) -> None:
    entries(fake("one", "X", ctrl_c))
    result = regimen()
    assert result.exit_code == 130
    assert "no experiment is finished yet; go on with:" in result.stderr
    assert not list(Path("runs/reproduce").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits-dropuot",), "no such experiment 'digits-dropuot'; did you mean 'digits-dropout'?"),
        (("overfit-curve", "G"), "no such experiment 'G'"),
        (("--quick", "--full"), "--quick, --full: expected one of the two, got both"),
        (("--processes", "0"), "--processes: expected a whole number of at least 1, got '0'"),
        (("f", "--out", "a-file"), "--out: cannot make the folder a-file: File exists"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(
    regimen: Regimen, arguments: tuple[str, ...], message: str
) -> None:
    Path("a-file").touch()
    result = regimen(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert {path.name for path in Path().iterdir()} == {"a-file"}


def test_the_list_names_every_experiment_without_importing_torch_or_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom regimen.cli import app\n"
        "try: app.main(['reproduce', '--list'])\nexcept SystemExit as end: assert not end.code\n"
        "print('imported:', sorted({'torch', 'matplotlib', 'sklearn', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert all(entry.name in done.stdout for entry in catalogue.ENTRIES)
    assert not list(tmp_path.iterdir())


def test_names_parts_and_groups_choose_in_the_order_of_the_catalogue() -> None:
    known = [fake("alpha", "A"), fake("many/one", "E.1"), fake("many/two", "E.2"), fake("omega", "F")]

    def chosen(*names: str) -> list[str]:
        return [entry.name for entry in find_entries(names, known)]

    assert chosen() == chosen("all") == ["alpha", "many/one", "many/two", "omega"]
    assert chosen("omega", "alpha", "ALPHA") == ["alpha", "omega"]
    assert chosen("e") == chosen("many") == chosen("many/") == ["many/one", "many/two"]
    assert chosen("E.2", "f") == ["many/two", "omega"]
    with pytest.raises(OptionError, match="did you mean 'many/two'"):
        chosen("many/tow")


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_is_complete_and_its_function_is_there(entry: Entry) -> None:
    module, _, function = entry.home.partition(":")
    assert callable(getattr(import_module(f"regimen.experiments.{module}"), function))
    assert entry.title and entry.post.endswith((".", "?"))
    assert all(mistake.endswith(".") for mistake in entry.mistakes)
    assert 0 < entry.seconds_quick <= entry.seconds <= entry.expected_seconds("full")


def test_the_catalogue_is_in_the_order_of_the_parts_and_no_name_occurs_twice() -> None:
    parts = [entry.part for entry in catalogue.ENTRIES]
    letters, numbered = [part[0] for part in parts], [part for part in parts if "." in part]
    assert letters == sorted(letters) and sorted(set(letters)) == list("ABCDEF")
    assert numbered == sorted(numbered)
    assert len({entry.name for entry in catalogue.ENTRIES}) == len(parts)


def clock(*times: float) -> Callable[[], float]:
    """Return a clock that shows each time once, and the last one ever after."""
    shown: Iterator[float] = chain(times, repeat(times[-1]))
    return lambda: next(shown)


def test_the_time_left_follows_the_pace_of_what_is_done() -> None:
    shown = ExperimentMeter([10.0, 30.0], console=Console(quiet=True), clock=clock(0.0, 0.0, 0.0, 20.0))
    with shown.experiment("one"):
        shown.advance(1.0)
    assert shown.state == "1 of 2 experiments, 1 min left"  # twice as slow as expected


def test_an_experiment_that_fails_counts_as_done_for_the_time_left() -> None:
    shown = ExperimentMeter([10.0, 30.0], console=Console(quiet=True), clock=clock(0.0, 0.0, 0.0, 10.0))
    with pytest.raises(DataError), shown.experiment("one"):
        raise DataError("no data")
    assert shown.state == "1 of 2 experiments, 30 s left"


def test_numbers_of_other_experiments_stay_on_the_overview(regimen: Regimen, entries: Callable[..., None]) -> None:
    entries(fake("one", "X"), fake("two", "Y"))
    regimen("one")
    regimen("two")
    page = Path("runs/reproduce/index.html").read_text()
    assert "one/index.html" in page and "two/index.html" in page
    assert json.loads(Path("runs/reproduce/one/numbers.json").read_text())["name"] == "one"
