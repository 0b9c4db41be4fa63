"""Lists of runs: in order, equal in one process or several, and a worker that dies is told as such."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regimen.data import Table
from regimen.engine import ENGINES, Trainer, choose_engine, train, train_one
from regimen.engine.trainer import available_cores
from regimen.engine.workers import UNGUARDED, WorkerPool
from regimen.errors import EngineError, OptionError
from regimen.kernels.native import find_kernels, why_no_kernels
from regimen.records import RunResult
from regimen.run import Run
from regimen.techniques import EMA, SGD, EarlyStopping

MakeRun = Callable[..., Run]
KEEP = ("outputs", "weights")


@pytest.fixture(scope="module")
def two_processes(classification: Table, regression: Table) -> Iterator[Trainer]:
    """One pool for all tests of this file: starting a process takes as long as a hundred runs."""
    with Trainer([classification, regression], engine="reference", processes=2) as trainer:
        yield trainer


@pytest.fixture
def runs(make_run: MakeRun, regression: Table) -> list[Run]:
    """Different tables, lengths and techniques; one diverges and one stops early."""
    return [
        make_run(dropout=0.5, key=(1 << 64) - 1),
        make_run(data=regression, normalization="batch", epochs=9),
        make_run(optimizer=SGD(), lr=1e6),
        make_run(mixup=0.4, averaging=EMA(decay=0.9), key=2),
        make_run(early_stopping=EarlyStopping(patience=1), epochs=60, lr=0.05),
        make_run(data=regression, input_noise=0.1),
    ]


def assert_same(found: RunResult, expected: RunResult) -> None:
    """All but the seconds, to the bit."""
    for name in ("identity", "status", "epoch", "epochs_run", "steps", "curves", "message"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("metric", "train_loss", "validation_loss"):
        assert getattr(found, name) == getattr(expected, name)
    for name in KEEP:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        for part in ours or ():
            assert ours[part].dtype == theirs[part].dtype
            assert np.array_equal(ours[part], theirs[part])


def test_two_processes_give_what_one_gives_to_the_bit(two_processes: Trainer, runs: list[Run]) -> None:
    alone = [train_one(run, keep=KEEP) for run in runs]
    assert {result.status for result in alone} == {"finished", "diverged", "stopped"}
    for found, expected in zip(two_processes.train(runs, keep=KEEP), alone, strict=True):
        assert_same(found, expected)


def test_the_order_of_the_runs_changes_no_result(two_processes: Trainer, runs: list[Run]) -> None:
    forward = train(runs, engine="reference", processes=1, keep=KEEP)
    for order in ([5, 3, 1, 0, 2, 4], [4, 4, 0]):
        for trainer in (two_processes, Trainer([], engine="reference", processes=1)):
            shuffled = trainer.train([runs[i] for i in order], keep=KEEP)
            for result, i in zip(shuffled, order, strict=True):
                assert_same(result, forward[i])


@pytest.mark.parametrize("processes", [1, 2])
def test_every_result_is_reported_once_with_its_index(two_processes: Trainer, runs: list[Run], processes: int) -> None:
    trainer = two_processes if processes == 2 else Trainer([], engine="reference", processes=1)
    seen: dict[int, RunResult] = {}
    results = trainer.train(runs, on_result=lambda index, result: seen.setdefault(index, result))
    assert sorted(seen) == list(range(len(runs)))
    assert all(seen[index] is result for index, result in enumerate(results))
    assert [result.identity for result in results] == [run.identity for run in runs]


def test_no_runs_give_no_results(two_processes: Trainer) -> None:
    assert two_processes.train([]) == []
    assert train([], processes=1) == []


def test_where_no_processes_may_be_started_runs_train_one_after_the_other(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a worker of `multiprocessing.Pool`, say, which may have no children."""
    runs = [make_run(key=key) for key in (1, 2)]
    expected = train(runs, engine="reference", processes=1)
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    found = train(runs, engine="reference", processes=2)
    assert [result.curves for result in found] == [result.curves for result in expected]


def test_a_pool_leaves_nothing_in_the_environment_of_the_processes_that_the_user_starts(
    classification: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(UNGUARDED, raising=False)  # of a pool of another test that nobody has closed
    before = dict(os.environ)
    pool = WorkerPool([classification], 1)
    pool.close()
    assert dict(os.environ) == before


def test_results_are_those_of_one_thread_and_the_callers_threads_are_given_back(make_run: MakeRun) -> None:
    run, threads = make_run(), torch.get_num_threads()
    seen: list[int] = []
    try:
        torch.set_num_threads(2)
        train([run], engine="reference", processes=1, on_result=lambda *_: seen.append(torch.get_num_threads()))
        assert seen == [2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_training_uses_one_thread(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(run: Run, **options: Any) -> RunResult:
        seen.append(torch.get_num_threads())
        return train_one(run, **options)

    monkeypatch.setattr("regimen.engine.trainer.train_one", watched)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train([make_run()], engine="reference", processes=1)
    finally:
        torch.set_num_threads(threads)
    assert seen == [1]


def kill_the_workers(trainer: Trainer) -> None:
    assert trainer._pool is not None
    for pid in list(trainer._pool._executor._processes):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("engine", [pytest.param("reference", marks=pytest.mark.slow), "stacked"])
def test_what_a_worker_had_that_died_is_trained_again_in_fewer(
    make_run: MakeRun, classification: Table, engine: str
) -> None:
    runs = [make_run(epochs=epochs, dropout=0.5, key=key) for key, epochs in enumerate((1, 40, 30, 2, 3))]
    finished: list[int] = []

    def kill_once(index: int, result: RunResult) -> None:
        finished.append(index)
        if len(finished) == 1:
            kill_the_workers(trainer)

    with Trainer([classification], engine=engine, processes=2) as trainer:
        results = trainer.train(runs, on_result=kill_once)
        assert trainer._pool is not None
        assert trainer._pool.processes == 1
    assert sorted(finished) == [0, 1, 2, 3, 4]
    for run, result in zip(runs, results, strict=True):
        expected = train_one(run)
        assert (result.engine, result.identity, result.epochs_run) == (engine, run.identity, expected.epochs_run)
        assert result.curves.train_loss[0] == pytest.approx(expected.curves.train_loss[0], rel=1e-5)


def test_when_the_last_worker_dies_that_is_told_and_what_was_finished_is_kept(
    make_run: MakeRun, classification: Table
) -> None:
    pool, finished = WorkerPool([classification], 1), []
    try:
        with pytest.raises(EngineError, match="a worker process died"):
            for index, _ in pool.train([make_run(epochs=1), make_run(epochs=100_000, key=2)], ()):
                finished.append(index)
                for pid in list(pool._executor._processes):
                    os.kill(pid, signal.SIGKILL)
    finally:
        pool.close()
    assert finished == [0]


def test_a_mistyped_engine_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="--engine: no such engine 'referense'; did you mean 'reference'"):
        choose_engine("referense")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_chosen_with_its_reasons(name: str) -> None:
    if name == "native" and find_kernels() is None:
        pytest.skip(why_no_kernels())
    choice = choose_engine(name)
    assert choice.name in ENGINES
    assert choice.reasons[choice.name]


@pytest.mark.parametrize("processes", [0, -1])
def test_fewer_than_one_process_is_refused(processes: int) -> None:
    with pytest.raises(OptionError, match="--processes: expected at least 1, got"):
        Trainer([], processes=processes)


def test_by_default_every_core_trains() -> None:
    assert Trainer([]).processes == available_cores() >= 1


@pytest.mark.slow
def test_a_script_that_trains_as_it_is_imported_is_told_so_once(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from regimen import Study, StudyOptions\n"
        "few = {'pairs': 2, 'epochs': 1, 'processes': 2, 'engine': 'reference'}\n"
        "options = StudyOptions(model='mlp:4', techniques='dropout', **few)\n"
        "Study(data='iris', options=options).run()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "put what it does under `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]
