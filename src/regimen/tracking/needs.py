"""The packages that trackers need, asked for before anything is trained."""

from collections.abc import Sequence
from importlib.util import find_spec

from regimen.errors import OptionError

# The packages of each, which are those of the extra of that name.
NEEDS: dict[str, tuple[str, ...]] = {
    "csv": (),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
}


def require_packages(packages: Sequence[str], *, asked: str) -> None:
    """Refuse a tracker whose packages are missing.

    Args:
        packages: What it needs.
        asked: How it was asked for, such as `--track mlflow`.

    Raises:
        OptionError: The message says how to install what is missing.

    Example:
        >>> require_packages(NEEDS["csv"], asked="--track csv")
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise OptionError(f"{asked} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
