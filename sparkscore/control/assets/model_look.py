"""A look at a registered model: its files, and the columns that its signature names.

Control plane.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.browsing import Browser, FoundFile
from sparkscore.errors import SparkscoreError, StorageError
from sparkscore.listing.location import find_local_path
from sparkscore.spec.document import parse_document
from sparkscore.storage import describe_error

if TYPE_CHECKING:
    from sparkscore.control.assets.entities import Model

MAX_LISTED = 200
_MLMODEL = "MLmodel"
_MAX_MLMODEL_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Column:
    """A column, tensor or parameter that a signature names."""

    name: str
    type: str
    is_required: bool = True


@dataclass(frozen=True)
class ModelLook:
    """``files`` are the first ones, ``is_whole``: all. Columns are empty without a signature."""

    files: tuple[FoundFile, ...]
    is_whole: bool
    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()
    parameters: tuple[Column, ...] = ()

    @property
    def has_signature(self) -> bool:
        """Whether the model says what it takes or gives."""
        return bool(self.inputs or self.outputs)


def look_at_model(model: Model) -> ModelLook:
    """The files and the signature of a model.

    Raises StorageError (MODEL_NOT_READABLE) and what opening a store does.
    """
    local = find_local_path(model.path)
    is_file = local is not None and os.path.isfile(local)
    try:
        browser = Browser(model.path, model.options, is_file=is_file, shows_hidden=True)
        files = browser.list_files(MAX_LISTED + 1)
        described = any(file.path == _MLMODEL for file in files)
        text = browser.read_head(_MLMODEL, _MAX_MLMODEL_BYTES) if described else b""
    except SparkscoreError:
        raise
    except Exception as error:
        raise StorageError(
            f"model {model.name} version {model.version} cannot be read at {model.path}: "
            f"{describe_error(error)}",
            condition="MODEL_NOT_READABLE",
            name=model.name,
            version=model.version,
        ) from error
    signature = _read_signature(text)
    return ModelLook(
        files=tuple(files[:MAX_LISTED]),
        is_whole=len(files) <= MAX_LISTED,
        inputs=read_columns(signature.get("inputs")),
        outputs=read_columns(signature.get("outputs")),
        parameters=read_columns(signature.get("params")),
    )


def is_far(model: Model) -> bool:
    """Whether the model is in a store, so that a look at it may take long."""
    return find_local_path(model.path) is None


def _read_signature(text: bytes) -> Mapping[str, Any]:
    """The member of an MLmodel file; empty if there is none that can be read."""
    try:
        root = parse_document(text.decode(), source=_MLMODEL, kind="MLmodel")
        signature = root.members.get("signature")
        members = {} if signature is None else signature.members
    except (SparkscoreError, UnicodeDecodeError):
        return {}
    return {name: entry.content for name, entry in members.items()}


def read_columns(text: object) -> tuple[Column, ...]:
    """What MLflow wrote as JSON in a text: columns, tensors or parameters."""
    try:
        listed = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return ()
    if not isinstance(listed, list):
        return ()
    return tuple(_read_column(one) for one in listed if isinstance(one, dict))


def _read_column(one: dict[str, Any]) -> Column:
    kind = one.get("type", "")
    tensor = one.get("tensor-spec")
    if isinstance(tensor, dict):
        kind = f"tensor {tensor.get('dtype', '')} {tensor.get('shape', '')}"
    elif one.get("shape"):
        kind = f"{kind} {one['shape']}"
    is_required = one.get("required", True) is not False
    return Column(str(one.get("name", "")), str(kind), is_required)
