"""Scoring outputs that are there already must not gather the pixels again."""

import numpy as np
import pytest

from regimen.data import Split, from_images
from regimen.models import MLP
from regimen.run import Recipe, Run
from regimen.study.confirming import part_metric


def test_outputs_of_images_are_scored_without_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: object) -> None:
        raise AssertionError("pixels were gathered")

    monkeypatch.setattr("regimen.data.prepared.gathered", touched)
    images = from_images(np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2), [0, 1] * 20)
    split = Split(train=np.arange(30), validation=np.arange(30, 40), test=np.empty(0, dtype=np.int64))
    run = Run(recipe=Recipe(), model=MLP(hidden=(4,)), data=images, split=split, key=0, metric="accuracy")
    logits = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (10, 1))
    assert part_metric(run, logits, "validation")(np.arange(10)) == 0.5
