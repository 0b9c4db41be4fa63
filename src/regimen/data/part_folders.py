"""The parts of a folder of images: which folders in it are called like training, test or validation."""

from dataclasses import dataclass
from pathlib import Path

# Names of each part without regard to case, the usual one first.
NAMES = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "val", "valid"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PartFolders:
    """Where the parts lie.

    Attributes:
        folders: The folder of each part that there is; `train` is the folder itself where it has no parts.
        unread: Names of what lies beside the folder of training and belongs to no part.
    """

    folders: dict[str, Path]
    unread: tuple[str, ...] = ()


def part_folders(folder: Path) -> PartFolders:
    """Return the folder of each part: `train`, `Test`, `val` and so on, or the folder itself for training.

    Of several names for one part the usual one is taken, in small letters before others; the rest is named as unread.
    Where no folder is called like training there are no parts. Nor are there any where that folder has no folders in
    it and others than parts stand beside it: then it is a class, of railways.

    Raises:
        OSError: The folder cannot be read.
    """
    inside = sorted(path for path in folder.iterdir() if not hidden(path.name))
    directories = [path for path in inside if path.is_dir()]
    found: dict[str, Path] = {}
    for part, names in NAMES.items():
        called = [path for path in directories if path.name.lower() in names]
        if called:
            found[part] = min(called, key=lambda path: (names.index(path.name.lower()), path.name != path.name.lower()))
    if "train" not in found:
        return PartFolders(folders={"train": folder})
    known = {name for names in NAMES.values() for name in names}
    if not any(path.is_dir() for path in found["train"].iterdir()) and any(
        path.name.lower() not in known for path in directories
    ):
        return PartFolders(folders={"train": folder})
    return PartFolders(folders=found, unread=tuple(path.name for path in inside if path not in found.values()))


def hidden(name: str) -> bool:
    """Tell whether a file or folder is left alone: the system's own, not the user's."""
    return name.startswith((".", "__")) or name.lower() in ("thumbs.db", "desktop.ini")
