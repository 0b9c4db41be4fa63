"""What an experiment measured beside what its post printed, and the JSON of it (`numbers.json`, schema 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from regimen.errors import OptionError, StoreError

SCHEMA = 1

Variant = Literal["as_posted", "corrected"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One quantity of one experiment.

    Attributes:
        part: Letter and number of the part, such as `A` or `F.1`.
        variant: `as_posted` does what the post does, mistakes included; `corrected` does what it should have done.
        quantity: What was measured, in words.
        unit: Unit of `posted`, `measured` and `sd`; empty for plain numbers.
        posted: What the post prints; None where it prints nothing.
        measured: What was measured now, the mean of `n`, unrounded; None where it is not finite (a diverged run).
        sd: Standard deviation over the `n` repetitions (with n - 1), in the same unit; None for a single one.
        n: Repetitions: runs, splits or keys.

    Raises:
        OptionError: `n` is below 1, or a single repetition has a standard deviation.

    Example:
        >>> Row(part="F.1", variant="as_posted", quantity="weight", unit="", posted=4.0042, measured=4.00422).n
        1
    """

    part: str
    variant: Variant
    quantity: str
    unit: str
    posted: float | None
    measured: float | None
    sd: float | None = None
    n: int = 1

    def __post_init__(self) -> None:
        if self.n < 1 or (self.n == 1 and self.sd is not None):
            raise OptionError(f"row {self.quantity!r}: expected sd over n >= 2, or n = 1 without, got n = {self.n}")
        for name in ("posted", "measured", "sd"):
            value = getattr(self, name)
            # JSON has no NaN: what is not finite is null there, so it is None here and survives the way out and in.
            if value is not None:
                object.__setattr__(self, name, float(value) if math.isfinite(value) else None)

    @classmethod
    def over(
        cls,
        values: Sequence[float],
        *,
        part: str,
        variant: Variant,
        quantity: str,
        unit: str,
        posted: float | None = None,
    ) -> "Row":
        """Return the row of several repetitions: their mean, standard deviation and number.

        Example:
            >>> row = Row.over([1.0, 3.0], part="A", variant="corrected", quantity="test loss", unit="nats")
            >>> row.measured, round(row.sd, 3), row.n
            (2.0, 1.414, 2)
        """
        n = len(values)
        mean = math.fsum(values) / n if n else math.nan
        sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
        return cls(part=part, variant=variant, quantity=quantity, unit=unit, posted=posted, measured=mean, sd=sd, n=n)


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """All rows of one experiment: the content of `numbers.json`."""

    name: str
    rows: tuple[Row, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Return the numbers as indented JSON, the schema first.

        Example:
            >>> print(Numbers(name="demo", rows=()).to_json())
            {
             "schema": 1,
             "name": "demo",
             "rows": []
            }
        """
        ordered = {"schema": self.schema, "name": self.name, "rows": self.rows}
        return msgspec.json.format(msgspec.json.encode(ordered), indent=1).decode()

    @classmethod
    def read(cls, path: Path) -> "Numbers":
        """Read `numbers.json`.

        Raises:
            StoreError: The file is missing, is no JSON, has another schema, or lacks fields.
        """
        try:
            found = msgspec.json.decode(path.read_bytes())
            schema = found.get("schema") if isinstance(found, dict) else None
            if schema != SCHEMA:
                raise StoreError(f"{path} has schema {schema!r}; this version of regimen reads schema {SCHEMA}")
            return msgspec.convert(found, type=cls)
        except OSError as error:
            raise StoreError(f"expected the numbers of an experiment at {path}: {error.strerror}") from error
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{path} is not the numbers of an experiment: {error}; run `regimen reproduce` again"
            ) from error
