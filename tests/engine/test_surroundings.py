"""A run is nothing but its description: what the caller's code has set in PyTorch neither enters it nor is changed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from regimen.engine import one_thread, train
from regimen.estimators import together
from regimen.kernels.native import find_kernels
from regimen.run import Run

MakeRun = Callable[..., Run]
CHANGES = {"dropout": 0.3, "normalization": "batch", "label_smoothing": 0.1, "mixup": 0.2}


@contextmanager
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float64": float64_by_default,
    "another device": lambda: torch.device("meta"),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu"),
}


@pytest.fixture
def three_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("engine", ["reference", "stacked", "native"])
@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_results_are_the_same_whatever_the_caller_has_set(
    make_run: MakeRun, engine: str, surroundings: Callable[[], AbstractContextManager[object]]
) -> None:
    if engine == "native" and find_kernels() is None:
        pytest.skip("no C++ kernels")
    runs = [make_run(key=key, **CHANGES) for key in (5, 6)]
    expected = train(runs, engine=engine, processes=1, keep=("outputs", "weights"))
    with surroundings():
        found = train(runs, engine=engine, processes=1, keep=("outputs", "weights"))
    for one, other in zip(found, expected, strict=True):
        assert one.curves == other.curves
        assert one.weights is not None
        assert other.weights is not None
        for name, values in other.weights.items():
            assert one.weights[name].dtype == values.dtype
            np.testing.assert_array_equal(one.weights[name], values)


def test_threads_that_train_side_by_side_leave_the_number_of_threads_as_it_was(three_threads: None) -> None:
    """The second finds the one thread that the first has set, and is the last to put back what it found."""
    both, first_is_out = threading.Barrier(2), threading.Event()

    def first() -> None:
        with one_thread():
            both.wait(10)
        first_is_out.set()

    def second() -> None:
        with one_thread():
            both.wait(10)
            assert first_is_out.wait(10)
            assert torch.get_num_threads() == 1

    with ThreadPoolExecutor(2) as executor:
        one = executor.submit(first)
        while both.n_waiting == 0 and not one.done():
            pass
        other = executor.submit(second)
        one.result(), other.result()
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(torch.get_num_threads).result() == 3


def test_threads_that_make_networks_side_by_side_leave_the_callers_generator_as_it_was(make_run: MakeRun) -> None:
    run = make_run()
    wide = make_run(model=type(run.model)(hidden=(256, 256)))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda _: wide.network(4, 3), range(200)))
    assert torch.equal(torch.get_rng_state(), state)


def test_searches_side_by_side_leave_the_rest_of_pytorch_to_the_user() -> None:
    """A pipeline may hold steps of the user's own, which compute where and as the user has said."""
    with torch.device("meta"), torch.no_grad(), together():
        assert torch.ones(1).is_meta
        assert not torch.is_grad_enabled()
