"""Part F: the figures that follow from PyTorch's own generator, and what the tail split shows."""

from collections.abc import Iterator

import pytest
import torch

from regimen.engine import one_thread
from regimen.experiments import Context
from regimen.experiments.overfit_curve import overfit_curve
from regimen.experiments.overfit_fits import Fit, Line, fit_line, noise, pair_of
from regimen.experiments.overfit_sweeps import Sweeps, sweep


@pytest.fixture(autouse=True)
def own_generator() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), one_thread():
        yield


@pytest.fixture(scope="module")
def line() -> Line:
    with torch.random.fork_rng(devices=[]), one_thread():
        return fit_line()


@pytest.fixture(scope="module")
def tail() -> tuple[Fit, Fit]:
    with torch.random.fork_rng(devices=[]), one_thread():
        x, y = noise()
        return pair_of(x, y, torch.arange(80), 1)


@pytest.fixture(scope="module")
def sweeps() -> Sweeps:
    with torch.random.fork_rng(devices=[]), one_thread():
        return sweep(*noise(), Context(size="quick"), share=1.0)


def test_the_posted_figures_of_the_line_are_met_to_four_digits(line: Line) -> None:
    found = [f"{value:.4f}" for value in (line.weight, line.bias, line.at(0.1), line.at(0.2))]
    assert found == ["4.0042", "2.4459", "2.8463", "3.2467"]


def test_the_line_is_the_same_whatever_was_drawn_before(line: Line) -> None:
    torch.manual_seed(99)
    assert fit_line().weight == line.weight


def test_the_noise_is_the_posts(tail: tuple[Fit, Fit]) -> None:
    _, y = noise()
    assert float(y[:80].square().mean()) == pytest.approx(1.28e-4, rel=0.005)
    assert float(y[80:].square().mean()) == pytest.approx(4.3e-5, rel=0.005)


def test_on_the_tail_split_the_test_errors_are_a_factor_of_ten_apart(tail: tuple[Fit, Fit]) -> None:
    plain, dropped = tail
    assert plain.error(plain.test) / dropped.error(dropped.test) > 10
    assert plain.error(plain.train) == pytest.approx(9.5e-5, rel=0.05)
    assert plain.error(plain.test) == pytest.approx(2.3e-3, rel=0.05)
    assert dropped.error(dropped.train) == pytest.approx(1.2e-4, rel=0.05)
    assert dropped.error(dropped.test) == pytest.approx(8.1e-5, rel=0.05)
    assert plain.test.tolist() == list(range(80, 100))


def test_train_mode_draws_another_curve_each_time_and_eval_mode_the_same(tail: tuple[Fit, Fit]) -> None:
    dropped = tail[1]
    assert not torch.equal(dropped.curve(dropped.x, training=True), dropped.curve(dropped.x, training=True))
    assert torch.equal(dropped.curve(dropped.x), dropped.curve(dropped.x))
    assert not dropped.network.training


def test_the_wider_the_network_the_smaller_the_training_error_but_not_the_test_error(sweeps: Sweeps) -> None:
    training, test = ([errors[part].mean() for errors in sweeps.widths.values()] for part in (0, 1))
    narrow, *wide = training[1:]  # of a single unit nothing is learned at all, or it is dead
    assert wide == sorted(wide, reverse=True) and wide[0] < narrow
    assert test[-1] > test[0]


def test_dropout_brings_the_test_error_down_to_that_of_predicting_zero(sweeps: Sweeps) -> None:
    test = [errors[1].mean() for errors in sweeps.rates.values()]
    assert test == sorted(test, reverse=True)
    assert min(test) > 1.0  # nothing can be learned from noise
    assert set(sweeps.fits) == set(sweeps.rates)


def test_part_f_is_complete(monkeypatch: pytest.MonkeyPatch, tail: tuple[Fit, Fit], sweeps: Sweeps) -> None:
    def known(x: object, y: object, context: Context, *, share: float) -> Sweeps:
        context.advance(share)
        return sweeps

    monkeypatch.setattr("regimen.experiments.overfit_curve.sweep", known)  # what is trained is tested above
    monkeypatch.setattr("regimen.experiments.overfit_curve.pair_of", lambda *_: tail)
    done = []
    found = overfit_curve(Context(size="quick", on_progress=done.append))
    assert {row.part for row in found.rows} == {"F.1", "F.2", "F.3", "F.4", "F.6", "F.7"}
    assert [picture.name for picture in found.pictures] == [
        "line",
        "overfitting",
        "evidence",
        "modes",
        "rates",
        "widths",
    ]
    assert all(row.measured is not None for row in found.rows)
    (told,) = (remark for remark in found.remarks if remark.startswith("F.6"))
    assert told.count("n = 3 splits: ") == 2, "both changes with an interval"
    assert sum(done) == pytest.approx(1.0)
