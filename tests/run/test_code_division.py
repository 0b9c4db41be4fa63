"""The script says how rows were divided, and divides its own stop part the same way; it runs on samples as they are."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from regimen.data import Data, from_samples
from regimen.models import MLP
from regimen.run import Recipe, plain_pytorch
from regimen.techniques import EarlyStopping

ROWS = 60
RECIPE = Recipe(epochs=2, early_stopping=EarlyStopping(patience=1))


def code(data: Data | None, recipe: Recipe = RECIPE) -> str:
    return plain_pytorch(recipe, MLP(hidden=(4,)), inputs=(3, 2), outputs=2, task="classification", data=data)


def samples(**divided: Any) -> Data:
    return from_samples(np.random.default_rng(1).normal(size=(ROWS, 3, 2)), np.arange(ROWS) % 2, **divided)


def executed(script: str, **given: Any) -> dict[str, Any]:
    """Return the variables that the script leaves; its inputs count the rows."""
    x = torch.arange(ROWS)[:, None, None].expand(ROWS, 3, 2).float()
    variables = {"x_train": x, "y_train": torch.arange(ROWS) % 2, **given}
    exec(script, variables)
    return variables


def test_the_latest_rows_choose_the_epoch_where_rows_have_an_order() -> None:
    script = code(samples(time=np.arange(ROWS)))
    assert "# Rows were divided by the time 'time': score the network on rows later than these." in script
    found = executed(script)
    count = math.ceil(0.15 * ROWS)
    assert found["x_stop"][:, 0, 0].tolist() == list(range(ROWS - count, ROWS))
    assert found["x_train"][:, 0, 0].tolist() == list(range(ROWS - count))
    assert len(found["y_stop"]) == count and len(found["y_train"]) == ROWS - count


def test_whole_groups_choose_the_epoch() -> None:
    script = code(samples(group=np.arange(ROWS) // 6))
    assert "# groups_train: int64 [rows], the group of each row." in script
    found = executed(script, groups_train=torch.arange(ROWS) // 6)
    stopped, trained = (set((found[name][:, 0, 0] // 6).tolist()) for name in ("x_stop", "x_train"))
    assert len(stopped) == 2 and not stopped & trained and len(stopped | trained) == 10


@pytest.mark.parametrize("by", ["group", "time"])
def test_without_a_stop_part_the_script_only_says_how_rows_were_divided(by: str) -> None:
    script = code(samples(**{by: np.arange(ROWS) // 3}), RECIPE.replace(early_stopping=None))
    assert f"# Rows were divided by the {'groups of' if by == 'group' else 'time'} '{by}'" in script
    assert "groups_train" not in script
    executed(script)


def test_a_script_of_rows_drawn_at_random_is_what_it_was() -> None:
    assert "divided" not in code(samples())
    assert "order = torch.randperm(len(x_train))  # 15% of the rows choose the epoch" in code(samples())
    assert code(samples()) == code(None).replace(
        "numeric columns scaled to mean 0 and variance 1 over these rows", "fed as they are"
    )


def test_the_name_of_a_column_can_not_leave_its_comment() -> None:
    from regimen.data import Structure
    from regimen.run.code_division import division_lines

    name = "a\nimport os\u2028b" + "x" * 100
    [line, further] = division_lines(Structure(by="time", column=name, values=np.arange(9)), stops=True)
    assert len(line.splitlines()) == len(further.splitlines()) == 1 and len(line) < 160


def test_whole_numbers_are_said_to_be_int64() -> None:
    tokens = from_samples(np.ones((40, 3, 2), dtype=int), [0, 1] * 20)
    assert "# x_train: int64 [rows, 3, 2], fed as they are." in code(tokens)


def test_the_script_says_what_the_weights_of_rows_are() -> None:
    weighted = samples(sample_weight=np.arange(1.0, ROWS + 1.0))
    script = code(weighted)
    assert "# w_train: float32 [rows], how much each row counts: the column 'sample_weight'." in script
    found = executed(script, w_train=torch.arange(1.0, ROWS + 1.0))
    # The weights go with their rows, and are 1 in the mean over both parts.
    for part in ("stop", "train"):
        rows = found[f"x_{part}"][:, 0, 0]
        torch.testing.assert_close(found[f"w_{part}"], (rows + 1.0) / (ROWS + 1.0) * 2.0)
    assert "w_train" not in code(samples())
