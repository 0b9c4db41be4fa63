"""Weight averaging against torch.optim.swa_utils, and batch-norm statistics against its update_bn."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from regimen.errors import RecipeError
from regimen.techniques import EMA, SWA, Average, Averaging, reestimate_batch_norm

STEPS_PER_EPOCH, EPOCHS = 3, 8
TOTAL = STEPS_PER_EPOCH * EPOCHS


def walk(module: nn.Module) -> Iterator[int]:
    """Move the parameters about as training would; yield each step after it."""
    source = torch.Generator().manual_seed(0)
    for step in range(TOTAL):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=source))
        yield step


def averaged(rule: Averaging, module: nn.Module) -> list[Tensor]:
    """Return the average after the walk."""
    average = Average(rule, module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in walk(module):
        average.update(step)
    average.swap()
    return [p.detach().clone() for p in module.parameters()]


def rising_decay(decay: float) -> object:
    """Return the exponential average of PyTorch with TensorFlow's bound on its decay."""

    def average(mean: Tensor, live: Tensor, averaged_so_far: Tensor) -> Tensor:
        t = float(averaged_so_far)
        d = min(decay, (1 + t) / (10 + t))
        return d * mean + (1 - d) * live

    return average


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.9, 0.999])
def test_ema_equals_that_of_pytorch_with_the_rising_decay(decay: float) -> None:
    module = nn.Linear(3, 2).double()
    model = AveragedModel(module, avg_fn=rising_decay(decay))  # type: ignore[arg-type]
    ours = Average(EMA(decay=decay), module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in walk(module):
        ours.update(step)
        model.update_parameters(module)
    assert ours.mean is not None
    torch.testing.assert_close(ours.mean, [p.detach() for p in model.module.parameters()], rtol=1e-12, atol=1e-12)


def test_ema_equals_that_of_pytorch_once_the_bound_is_reached() -> None:
    """With d = 0.1 the bound (1 + t)/(10 + t) is reached at once."""
    module = nn.Linear(3, 2).double()
    model = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.1))
    ours = Average(EMA(decay=0.1), module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in walk(module):
        ours.update(step)
        model.update_parameters(module)
    assert ours.mean is not None
    torch.testing.assert_close(ours.mean, [p.detach() for p in model.module.parameters()], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.75, 0.99])
def test_swa_equals_that_of_pytorch_updated_at_the_end_of_each_late_epoch(start: float) -> None:
    module = nn.Linear(3, 2).double()
    model = AveragedModel(module)
    ours = Average(SWA(start=start), module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in walk(module):
        ours.update(step)
        epoch, at_end = divmod(step + 1, STEPS_PER_EPOCH)
        if at_end == 0 and epoch > min(int(start * EPOCHS), EPOCHS - 1):
            model.update_parameters(module)
    assert ours.mean is not None
    torch.testing.assert_close(ours.mean, [p.detach() for p in model.module.parameters()], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("start", "epochs"), [(0.0, 8), (0.5, 4), (0.75, 2), (0.99, 1)])
def test_swa_takes_the_last_epochs_and_always_at_least_one(start: float, epochs: int) -> None:
    rule = SWA(start=start)
    shares = [rule.share(step=step, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL) for step in range(TOTAL)]
    assert [share for share in shares if share is not None] == [1 / k for k in range(1, epochs + 1)]
    assert [step for step, share in enumerate(shares) if share is not None][-1] == TOTAL - 1


@pytest.mark.parametrize("rule", [EMA(), SWA()])
def test_swapping_twice_puts_the_parameters_back(rule: Averaging) -> None:
    module = nn.Linear(3, 2)
    average = Average(rule, module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in walk(module):
        average.update(step)
    live = [p.detach().clone() for p in module.parameters()]
    assert average.mean is not None
    mean = [p.clone() for p in average.mean]
    average.swap()
    assert all(map(torch.equal, module.parameters(), mean))
    average.swap()
    assert all(map(torch.equal, module.parameters(), live))


def test_before_its_start_an_average_changes_nothing() -> None:
    module = nn.Linear(3, 2)
    average = Average(SWA(start=0.5), module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    average.update(0)
    before = [p.detach().clone() for p in module.parameters()]
    average.swap()
    assert all(map(torch.equal, module.parameters(), before))


@pytest.mark.parametrize("rule", [EMA(decay=0.5), SWA(start=0.25)])
def test_the_average_of_weights_that_stand_still_is_they(rule: Averaging) -> None:
    module = nn.Linear(3, 2)
    average = Average(rule, module, steps_per_epoch=STEPS_PER_EPOCH, total=TOTAL)
    for step in range(TOTAL):
        average.update(step)
    assert average.mean is not None
    assert all(map(torch.equal, module.parameters(), average.mean))


@pytest.mark.parametrize(("kind", "field"), [(EMA, "decay"), (SWA, "start")])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "half"])
def test_an_impossible_averaging_is_refused_by_name(kind: type[Averaging], field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"averaging\.{field}: expected a number in \[0, 1\), got "):
        kind(**{field: value})


# --- batch norm -----------------------------------------------------------------------------------------------------


@pytest.fixture
def batches() -> list[Tensor]:
    source = torch.Generator().manual_seed(1)
    return [torch.randn(rows, 4, generator=source) * 3 + 1 for rows in (8, 8, 5)]


def normed() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3), nn.BatchNorm1d(3))


def test_reestimated_statistics_are_those_of_pytorchs_update_bn(batches: list[Tensor]) -> None:
    ours, theirs = normed(), normed()
    ours.train()(batches[0] * 100)  # statistics to be forgotten
    reestimate_batch_norm(ours, batches)
    update_bn(batches, theirs)
    for (name, found), expected in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, msg=name)


def test_reestimation_leaves_momentum_as_it_was_and_the_module_in_eval_mode(batches: list[Tensor]) -> None:
    module = normed()
    module[1].momentum = 0.3
    module.train()
    reestimate_batch_norm(module, batches)
    assert [module[1].momentum, module[4].momentum] == [0.3, 0.1]
    assert not any(part.training for part in module.modules())


def test_statistics_that_training_leaves_alone_are_not_reestimated(batches: list[Tensor]) -> None:
    """Those of a pretrained network whose own `train` keeps its norms in eval mode."""
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    module[0].eval()
    reestimate_batch_norm(module, batches)
    assert torch.equal(module[0].running_mean, torch.zeros(4))
    assert not torch.equal(module[2].running_mean, torch.zeros(4))


def test_reestimation_runs_without_dropout(batches: list[Tensor]) -> None:
    plain = normed()
    dropping = nn.Sequential(nn.Dropout(0.5), *normed())
    reestimate_batch_norm(plain, batches)
    reestimate_batch_norm(dropping, batches)
    assert torch.equal(plain[1].running_mean, dropping[2].running_mean)


def test_a_network_without_batch_norm_is_not_run_at_all() -> None:
    module = nn.Sequential(nn.Linear(4, 2), nn.LayerNorm(2))
    module.register_forward_hook(lambda *_: pytest.fail("no forward is needed"))
    reestimate_batch_norm(module.train(), [torch.zeros(1, 4)])
    assert not module.training
