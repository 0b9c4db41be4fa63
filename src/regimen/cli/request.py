"""What was asked on the command line, as frozen values: None is what was not given."""

import shlex
from dataclasses import dataclass, fields, replace
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRequest:
    """Where the rows are and what they mean; see `regimen.data.load`."""

    data: str
    target: str | None = None
    task: Any = None
    ignore: tuple[str, ...] | None = None
    test: str | None = None
    validation: str | None = None
    group: str | None = None
    time: str | None = None
    weights: str | None = None
    image_size: str | None = None

    @property
    def table_options(self) -> dict[str, Any]:
        """Return the arguments of `regimen.data.load` after the source."""
        names = ("target", "task", "ignore", "test", "validation", "group", "time", "weights")
        found = {name: getattr(self, name) for name in names}
        if self.image_size is not None:
            height, _, width = self.image_size.partition("x")
            found["image_size"] = (int(height), int(width or height))
        return {name: value for name, value in found.items() if value is not None}

    def command_line(self, command: str) -> str:
        """Return the command line that asks for this, quoted for a shell."""
        options: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "data" and value is not None and value is not False:
                options.append("--" + field.name.replace("_", "-"))
                if value is not True:
                    options.append(_joined(value) if isinstance(value, tuple) else str(value))
        if self.data.startswith("-"):
            return shlex.join(["regimen", command, *options, "--", self.data])
        return shlex.join(["regimen", command, self.data, *options])


def _joined(names: tuple[str, ...]) -> str:
    return ",".join(
        '"' + name.replace('"', '""') + '"' if set(name) & set(',"') or name != name.strip() else name for name in names
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRequest(DataRequest):
    """What `regimen study` was asked; see `regimen.study.StudyOptions`."""

    model: str | None = None
    baseline: str | None = None
    lr: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    techniques: str | None = None
    pairs: int | None = None
    folds: int | None = None
    budget: str | None = None
    metric: str | None = None
    smallest_effect: float | None = None
    engine: str | None = None
    device: str | None = None
    processes: int | None = None
    seed: int | None = None
    out: str | None = None
    track: tuple[str, ...] | None = None
    resume: bool = False

    def without_place(self) -> Self:
        """Return the request without where it writes, so that its command line can be run again."""
        return replace(self, out=None, resume=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRequest(DataRequest):
    """What `regimen train` was asked."""

    recipe: str
    model: str | None = None
    networks: int | None = None
    epochs: int | None = None
    metric: str | None = None
    engine: str | None = None
    device: str | None = None
    processes: int | None = None
    seed: int | None = None
    out: str | None = None
