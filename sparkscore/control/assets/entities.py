"""What the asset commands return and print. Control plane, pure.

Each entity is frozen; ``to_dict`` gives JSON types in the order in which the command line prints
them, the name first. Times are seconds since the epoch, UTC; printed as ISO 8601 with ``Z``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.times import render_time


class _Tagged:
    """Has an ETag."""

    @property
    def etag(self) -> str:
        """Another text after each change, also of one that was deleted and made again."""
        shown = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(shown.encode()).hexdigest()[:32]

    if TYPE_CHECKING:

        def to_dict(self) -> dict[str, Any]:
            """What commands print."""


@dataclass(frozen=True, kw_only=True)
class Model(_Tagged):
    """A version of a registered model.

    ``path`` is the file or folder itself: a local path where this machine can see it, else a URI,
    which ``options`` belong to. ``digest`` is of what ``digest_of`` says: ``content``, or the
    ``listing`` of what is registered where it lies; ``nothing`` if others registered it.
    ``number`` is MLflow's own version.
    """

    name: str
    version: str
    type: str
    path: str
    digest: str
    digest_of: str
    base_name: str
    created_at: float
    number: int
    options: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    flavors: dict[str, Any] = field(default_factory=dict)
    stage: str | None = None
    is_archived: bool = False
    is_generated: bool = False

    @property
    def reference(self) -> str:
        """How deployments name it."""
        return f"azureml:{self.name}:{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """What ``model show`` prints."""
        return _given(
            {
                "name": self.name,
                "version": self.version,
                "type": self.type,
                "path": self.path,
                "description": self.description,
                "tags": self.tags,
                "properties": self.properties,
                "flavors": self.flavors,
                "stage": self.stage,
                "id": self.reference,
                "is_archived": self.is_archived or None,
                "creation_context": {"created_at": render_time(self.created_at)},
            }
        )


@dataclass(frozen=True, kw_only=True)
class Environment(_Tagged):
    """A version of an environment; ``document`` is its YAML form, the conda file's content in it.

    ``digest`` covers what the environment is, not what it is called.
    """

    name: str
    version: str
    document: dict[str, Any]
    digest: str
    created_at: float
    is_archived: bool = False
    is_generated: bool = False

    @property
    def reference(self) -> str:
        """How deployments name it."""
        return f"azureml:{self.name}:{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """What ``environment show`` prints."""
        document = self.document
        return _given(
            {
                "name": self.name,
                "version": self.version,
                "image": document.get("image"),
                "conda_file": document.get("conda_file"),
                "build": document.get("build"),
                "os_type": document.get("os_type", "linux"),
                "inference_config": document.get("inference_config") or None,
                "description": document.get("description"),
                "tags": document.get("tags", {}),
                "properties": document.get("properties", {}),
                "id": self.reference,
                "is_archived": self.is_archived or None,
                "creation_context": {"created_at": render_time(self.created_at)},
            }
        )


@dataclass(frozen=True, kw_only=True)
class DataAsset(_Tagged):
    """A version of a data asset.

    ``path`` is a local path, a URI or ``azureml://datastores/<datastore>/paths/<path>``, as it was
    registered; local paths are absolute. ``type`` is uri_folder or uri_file.
    """

    name: str
    version: str
    type: str
    path: str
    created_at: float
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    is_archived: bool = False
    is_generated: bool = False

    @property
    def reference(self) -> str:
        """How jobs name it."""
        return f"azureml:{self.name}:{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """What ``data show`` prints."""
        return _given(
            {
                "name": self.name,
                "version": self.version,
                "type": self.type,
                "path": self.path,
                "description": self.description,
                "tags": self.tags,
                "properties": self.properties,
                "id": self.reference,
                "is_archived": self.is_archived or None,
                "creation_context": {"created_at": render_time(self.created_at)},
            }
        )


@dataclass(frozen=True, kw_only=True)
class CodeAsset(_Tagged):
    """A copy of a code folder; ``path`` is the local folder. Without a name given, by content."""

    name: str
    version: str
    path: Path
    digest: str
    created_at: float
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """How deployments name it."""
        return f"azureml:{self.name}:{self.version}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "path": str(self.path),
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            "id": self.reference,
            "creation_context": {"created_at": render_time(self.created_at)},
        }


@dataclass(frozen=True, kw_only=True)
class Datastore(_Tagged):
    """A named place for data: ``uri`` (a local path or a URI) and what is needed to open it."""

    name: str
    type: str
    uri: str
    options: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    is_default: bool = False
    is_built_in: bool = False
    is_archived: bool = False
    created_at: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``datastore show`` prints; there is nothing secret in it."""
        document = self.document
        shown = {"name": self.name, "type": self.type, "uri": self.uri}
        own = {key: value for key, value in document.items() if key not in (*shown, *_LAST)}
        return _given(
            {
                **shown,
                **own,
                "description": document.get("description"),
                "tags": document.get("tags", {}),
                "properties": document.get("properties", {}),
                "is_default": self.is_default or None,
                "id": f"azureml:{self.name}",
                "is_archived": self.is_archived or None,
                "creation_context": _creation_context(self.created_at),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Compute(_Tagged):
    """A named place to run.

    ``master`` is a Spark master's URL, None on this machine. ``shared_paths``: its workers see
    this machine's paths. ``max_instances`` None is no bound.
    """

    name: str
    type: str
    master: str | None = None
    min_instances: int = 0
    max_instances: int | None = None
    shared_paths: bool = True
    spark_conf: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    is_built_in: bool = False
    is_archived: bool = False
    created_at: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``compute show`` prints."""
        shown = {"name": self.name, "type": self.type}
        bounds = {
            "min_instances": self.min_instances,
            "max_instances": self.max_instances,
            "provisioning_state": "Succeeded",
        }
        own = {
            key: value
            for key, value in self.document.items()
            if key not in (*shown, *bounds, *_LAST)
        }
        return _given(
            {
                **shown,
                **own,
                **bounds,
                "description": self.document.get("description"),
                "tags": self.document.get("tags", {}),
                "properties": self.document.get("properties", {}),
                "id": f"azureml:{self.name}",
                "is_archived": self.is_archived or None,
                "creation_context": _creation_context(self.created_at),
            }
        )


_LAST = ("description", "tags", "properties")


def _given(members: dict[str, Any]) -> dict[str, Any]:
    """Without what there is nothing to say about, so that a file of it can be given to create."""
    return {name: value for name, value in members.items() if value is not None}


def _creation_context(created_at: float | None) -> dict[str, Any] | None:
    """What was never created, because it is built in, has none."""
    return None if created_at is None else {"created_at": render_time(created_at)}
