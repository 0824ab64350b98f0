"""Where registered models are on this machine; copies of those whose files are elsewhere.

Control plane. A copy is named by the model's digest, checked, and appears whole or not at all. A
version never changes, so its place is remembered: MLflow takes seconds to import, and a job that
is started should not wait for it.
"""

from __future__ import annotations

from pathlib import Path

from sparkscore.control.assets.content import (
    hash_text,
    read_content,
    rename_once,
    unfinished_folder,
)
from sparkscore.control.assets.entities import Model
from sparkscore.control.assets.model_content import CONTENT, LISTING
from sparkscore.control.assets.registry import Registry, find_artifact_path
from sparkscore.control.assets.remote_content import fetch, read_listing
from sparkscore.errors import UnresolvedReferenceError


class ModelCache:
    """The folder ``cache/models`` of a workspace."""

    def __init__(self, workspace_folder: Path, registry: Registry) -> None:
        self._folder = workspace_folder / "cache" / "models"
        self._places = workspace_folder / "cache" / "model-places"
        self._registry = registry

    def find_remembered(self, reference: str) -> Path | None:
        """Where ``get`` found the version of this reference before, if it still is there."""
        try:
            place = Path(self._get_note(reference).read_text(encoding="utf-8"))
        except OSError:
            return None
        return place if place.exists() else None

    def forget(self, reference: str) -> None:
        """Ask the registry again next time: the version was deleted."""
        self._get_note(reference).unlink(missing_ok=True)

    def get(self, model: Model) -> Path:
        """The local file or folder of a model; raises UnresolvedReferenceError."""
        place = self._get(model)
        with unfinished_folder(self._places) as unfinished:
            note = unfinished / "note"
            note.write_text(str(place), encoding="utf-8")
            note.replace(self._get_note(model.reference))
        return place

    def _get_note(self, reference: str) -> Path:
        return self._places / hash_text(reference)

    def _get(self, model: Model) -> Path:
        local = find_artifact_path(model.path)
        if local is not None:
            return _check_there(Path(local), model)
        kept = self._folder / model.digest
        if not kept.exists():
            with unfinished_folder(self._folder) as unfinished:
                folder = unfinished / "model"
                folder.mkdir()
                self._download(model, folder)
                rename_once(folder, kept)
        return next(iter(kept.iterdir()))

    def _download(self, model: Model, folder: Path) -> None:
        if model.digest_of == LISTING:
            listing = read_listing(model.path, model.options)
            if listing.digest != model.digest:
                raise _damaged(model, "has changed in its store since it was registered")
            fetch(listing, folder)
            return
        path = self._registry.download(model.path, folder)
        if model.digest_of == CONTENT and read_content(path).digest != model.digest:
            raise _damaged(model, "is not what was registered: its files were changed")


def _check_there(path: Path, model: Model) -> Path:
    if not path.exists():
        raise UnresolvedReferenceError(
            f"the files of model {model.reference} are not at {path}: they were moved or deleted; "
            "register the model again",
            condition="MODEL_NOT_FETCHED",
            reference=model.reference,
            path=str(path),
        )
    return path


def _damaged(model: Model, problem: str) -> UnresolvedReferenceError:
    return UnresolvedReferenceError(
        f"model {model.reference} at {model.path} {problem}; register it as another version",
        condition="MODEL_CHANGED",
        reference=model.reference,
        path=model.path,
    )
