"""Finds a deployment's model and puts it into a job folder. Control plane."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sparkscore.control import mlflow_models
from sparkscore.control.snapshot import copy_model, link_model
from sparkscore.errors import SparkscoreError, UnresolvedReferenceError
from sparkscore.listing.location import find_local_path
from sparkscore.spec.document import read_document
from sparkscore.storage import open_store

PYFUNC_FLAVOUR = "python_function"

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


@dataclass(frozen=True)
class LocalModel:
    """A model's file or folder on this machine."""

    path: Path

    def check(self, *, has_script: bool) -> None:
        """Raise UnresolvedReferenceError if it is missing, or cannot score without a script."""
        if not os.path.exists(self.path):
            raise UnresolvedReferenceError(
                f"model {self.path} does not exist: correct model.path, it is relative to the "
                "deployment file",
                condition="MODEL_NOT_FOUND",
                path=str(self.path),
            )
        if not has_script:
            check_pyfunc(self.path)

    def put_below(self, folder: Path, *, linked: bool) -> Path:
        """Link or copy the model into ``folder``; returns its path there."""
        destination = folder / (self.path.name or "model")
        (link_model if linked else copy_model)(self.path, destination)
        return destination


@dataclass(frozen=True)
class RemoteModel:
    """A model that has to be fetched: ``models:/...``, ``runs:/...`` or a URI."""

    reference: str
    has_script: bool

    def check(self, *, has_script: bool) -> None:
        """Nothing: what it is turns out once it is fetched."""

    def put_below(self, folder: Path, *, linked: bool) -> Path:
        """Fetch the model into ``folder``; returns its path there."""
        del linked
        path = self._fetch(folder)
        LocalModel(path).check(has_script=self.has_script)
        return path

    def _fetch(self, folder: Path) -> Path:
        fetch: Callable[..., Path] = fetch_uri
        if self.reference.startswith(mlflow_models.SCHEMES):
            fetch = mlflow_models.fetch_model
        return fetch(self.reference, folder=folder)


Model = LocalModel | RemoteModel


def find_model(reference: str, *, resolve: Callable[[str], Path], has_script: bool) -> Model:
    """The model that ``reference`` (a path, URI or reference) names.

    ``resolve`` makes relative paths absolute.
    """
    if reference.startswith(mlflow_models.SCHEMES):
        return RemoteModel(reference, has_script)
    if _URI.match(reference):
        local = find_local_path(reference)
        return RemoteModel(reference, has_script) if local is None else LocalModel(Path(local))
    return LocalModel(resolve(reference))


def refuse_asset(reference: str, *, what: str) -> UnresolvedReferenceError:
    """The error for a registered asset in a run that has no workspace."""
    return UnresolvedReferenceError(
        f"{what} {reference} is a registered asset, which only a workspace can resolve, and a "
        "one-shot run has none: name a path or URI instead",
        condition="NO_WORKSPACE",
        reference=reference,
    )


def check_pyfunc(model: Path) -> None:
    """Raise UnresolvedReferenceError unless MLflow can load ``model`` as a Python function."""
    description = model / "MLmodel"
    if not description.is_file():
        raise UnresolvedReferenceError(
            f"model {model} is no MLflow model (it has no MLmodel file), so it needs a scoring "
            "script: add code_configuration",
            condition="MODEL_WITHOUT_SCRIPT",
            path=str(model),
        )
    flavours = sorted(_read_flavours(description))
    if PYFUNC_FLAVOUR not in flavours:
        raise UnresolvedReferenceError(
            f"MLflow model {model} has no {PYFUNC_FLAVOUR} flavour, only "
            f"{', '.join(flavours) or 'none at all'}: log it with that flavour, or add "
            "code_configuration with a scoring script",
            condition="MODEL_WITHOUT_PYFUNC",
            path=str(model),
            flavours=flavours,
        )


def has_signature(model: Path) -> bool:
    """Whether an MLflow model says which columns it takes; True for what is no MLflow model."""
    description = model / "MLmodel"
    return not description.is_file() or "signature" in read_document(description).members


def _read_flavours(description: Path) -> list[str]:
    flavours = read_document(description).members.get("flavors")
    return [] if flavours is None else list(flavours.members)


def fetch_uri(uri: str, *, folder: Path, options: Mapping[str, str] | None = None) -> Path:
    """Download a file or folder from a store; returns its path in ``folder``.

    ``options`` are those of ``storage.open_store``, which raises what it finds wrong. Raises
    UnresolvedReferenceError (MODEL_NOT_FETCHED) for a model that is not there or not readable.
    """
    from sparkscore.listing import fetch_tree

    open_store(uri, options)
    destination = folder / (unquote(uri.rstrip("/").rpartition("/")[2]) or "model")
    try:
        fetch_tree(uri, str(destination), options=options)
    except SparkscoreError as error:
        raise UnresolvedReferenceError(
            f"model {uri} cannot be fetched: {error.message}; check the URI and the credentials",
            condition="MODEL_NOT_FETCHED",
            reference=uri,
        ) from error
    return destination
