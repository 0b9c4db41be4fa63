"""The two files of a saved model: tensors in safetensors, everything else in JSON, sealed together by one hash."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt
import safetensors
import safetensors.numpy

from regimen import __version__
from regimen.data import ImagePreparation, Preparation, SamplePreparation
from regimen.errors import StoreError

SCHEMA = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
AGAIN = "copy the folder again, or train again"

State = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """The content of `model.json` beside schema, version and hash.

    Attributes:
        model: Name of the network, as `regimen.models.parse_model` reads it; of a module of the user's own only what it
            is called, since no code is run for what a folder says.
        recipe: The recipe as TOML.
        keys: Run key of each network.
        preparation: Columns, levels, imputations, scales, task, target and classes; or size, scales and classes of
            images, or shape and classes of samples.
        model_digest: Digest of a module of the user's own; empty for a described network.
    """

    model: str
    recipe: str
    keys: tuple[int, ...]
    preparation: Preparation | ImagePreparation | SamplePreparation
    model_digest: str = ""


def write_files(folder: Path, description: Description, states: Sequence[State]) -> None:
    """Write both files; a reader finds the old model, the new one, or a mixture that the hash gives away.

    Args:
        folder: Where to; made if need be.
        description: What the tensors belong to.
        states: Tensors of each network. Those of one keep their names; those of several get the network's index before.

    Raises:
        StoreError: The folder cannot be written to.
    """
    weights = safetensors.numpy.save(_joined(states))
    content = {"schema": SCHEMA, "regimen": __version__} | msgspec.to_builtins(description)
    if not description.model_digest:
        del content["model_digest"]
    text = msgspec.json.encode({"sha256": _seal(content, weights)} | content)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / WEIGHTS, weights)
        _replace(folder / DESCRIPTION, msgspec.json.format(text, indent=1))
    except OSError as error:
        raise StoreError(f"could not save the model in {folder}: {error.strerror}; choose another folder") from error


def read_files(folder: Path) -> tuple[Description, tuple[State, ...]]:
    """Return what `write_files` wrote.

    Raises:
        StoreError: A file is missing, damaged, of another schema, or not of the same save as the other.
    """
    path = folder / DESCRIPTION
    try:
        content = msgspec.json.decode(_read(path))
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            raise StoreError(f"{path} has schema {schema!r}; this version of regimen reads schema {SCHEMA}")
        weights = _read(folder / WEIGHTS)
        if content.pop("sha256", None) != _seal(content, weights):
            raise StoreError(f"{path} and {WEIGHTS} are not of one save, or one of them is damaged; {AGAIN}")
        description = _description(content)
        return description, _parted(safetensors.numpy.load(weights), len(description.keys))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{path} is damaged, or describes no saved model: {error}; {AGAIN}") from error
    except safetensors.SafetensorError as error:
        raise StoreError(f"{folder / WEIGHTS} is damaged: {error}; {AGAIN}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fields:
    """The content as it is stored, before it is known what the preparation is of."""

    model: str
    recipe: str
    keys: tuple[int, ...]
    preparation: dict[str, Any]
    model_digest: str = ""


def _description(content: Mapping[str, Any]) -> Description:
    fields = msgspec.convert(content, type=_Fields)
    # That of a table, the older of the two, has no kind.
    preparation: Preparation | ImagePreparation | SamplePreparation
    if fields.preparation.get("kind") == "images":
        preparation = msgspec.convert(fields.preparation, type=ImagePreparation)
    elif fields.preparation.get("kind") == "samples":
        preparation = msgspec.convert(fields.preparation, type=SamplePreparation)
    else:
        preparation = msgspec.convert(fields.preparation, type=Preparation)
    return Description(
        model=fields.model,
        recipe=fields.recipe,
        keys=fields.keys,
        preparation=preparation,
        model_digest=fields.model_digest,
    )


def _seal(content: Mapping[str, Any], weights: bytes) -> str:
    # Of the values, not of the text: what reformats the JSON or its line ends does no harm.
    text = msgspec.json.encode(content, order="sorted")
    return hashlib.sha256(hashlib.sha256(text).digest() + hashlib.sha256(weights).digest()).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"expected a saved model: {path}: {error.strerror}; name the folder it was saved in"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _joined(states: Sequence[State]) -> dict[str, npt.NDArray[Any]]:
    if len(states) == 1:
        return dict(states[0])
    return {f"{index}.{name}": value for index, state in enumerate(states) for name, value in state.items()}


def _parted(tensors: State, networks: int) -> tuple[State, ...]:
    if networks == 1:
        return (tensors,)
    parts: list[dict[str, npt.NDArray[Any]]] = [{} for _ in range(networks)]
    for name, value in tensors.items():
        index, _, rest = name.partition(".")
        if not index.isdecimal() or int(index) >= networks:
            raise StoreError(f"expected tensors of {networks} networks in {WEIGHTS}, got {name!r}; {AGAIN}")
        parts[int(index)][rest] = value
    return tuple(parts)
