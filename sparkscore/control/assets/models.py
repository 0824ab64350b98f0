"""Models of a workspace, in an MLflow registry. Control plane.

Files are copied into MLflow's artifact store, so that a version never changes; what lies behind a
URI is registered where it is, with a digest of its listing.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.assets.catalog import (
    LATEST,
    Archived,
    asset_not_found,
    check_same,
    next_version,
)
from sparkscore.control.assets.content import hash_text
from sparkscore.control.assets.entities import Model
from sparkscore.control.assets.mlflow_store import MlflowStore
from sparkscore.control.assets.model_cache import ModelCache
from sparkscore.control.assets.model_content import (
    NOTHING,
    ModelContent,
    find_content,
    find_mlflow_version,
    get_digest,
)
from sparkscore.control.assets.naming import check_asset_name, settle_flag_path
from sparkscore.control.assets.registry import RegisteredVersion, Registry, find_artifact_path
from sparkscore.control.endpoints.precondition import NO_PRECONDITION, Precondition
from sparkscore.control.listing_table import Table
from sparkscore.errors import InvalidFieldError
from sparkscore.spec import (
    AssetReference,
    InlineModel,
    MlflowReference,
    ModelSpec,
    load_document,
    parse_model,
)

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

CUSTOM, MLFLOW = "custom_model", "mlflow_model"


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A version to register; without ``version`` it gets the next number."""

    name: str
    version: str | None
    type: str
    content: ModelContent
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    stage: str | None = None
    is_generated: bool = False

    def is_same(self, version: RegisteredVersion) -> bool:
        """Whether what is registered is what was to be."""
        facts = version.facts
        return (facts.get("digest"), facts.get("type")) == (self.content.digest, self.type)

    def get_facts(self, version: str) -> dict[str, str]:
        """The tags that say so."""
        maps = {
            "tags": self.tags,
            "properties": self.properties,
            "options": self.content.options,
            "flavors": self.content.flavors,
        }
        facts = {
            "version": version,
            "digest": self.content.digest,
            "digest_of": self.content.digest_of,
            "type": self.type,
            "name": self.content.base_name,
            "stage": self.stage or "",
            "generated": "true" if self.is_generated else "",
            **{key: json.dumps(value, sort_keys=True) for key, value in maps.items() if value},
        }
        return {key: value for key, value in facts.items() if value}


class Models:
    """The models of a workspace.

    The first use of an embedded registry takes seconds; ``workspace.on_message`` is told so.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.mlflow = MlflowStore(workspace.config, on_message=workspace.on_message)
        self.registry = Registry(self.mlflow)
        self._cache = ModelCache(workspace.folder, self.registry)

    def create(
        self,
        source: Path | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
        type: str | None = None,  # noqa: A002 - the key's name
        path: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        overrides: Sequence[str] = (),
        **others: object,
    ) -> Model:
        """Register a version, the next number if none is given.

        ``source`` is a YAML file or its content; the rest are keys laid over it. The same version
        again with the same content is fine. Raises SpecError, UnresolvedReferenceError
        (MODEL_NOT_FOUND...), AlreadyExistsError (MODEL_VERSION_EXISTS), StateError (MLFLOW_...).
        """
        flags = {
            "name": name,
            "version": version,
            "type": type,
            "path": settle_flag_path(path),
            "description": description,
            "tags": tags,
            **others,
        }
        loaded = load_document(ModelSpec, source, overrides=overrides, flags=flags)
        spec = loaded.spec
        content = self._find_content(spec.path, base=loaded.folder)
        given = spec.type if "type" in spec.model_fields_set else None
        return self._register(
            _Draft(
                name=spec.name,
                version=spec.version,
                type=_settle_type(given, content),
                content=content,
                description=spec.description,
                tags=spec.tags,
                properties=spec.properties,
                stage=spec.stage,
            )
        )

    def register_inline(
        self, spec: InlineModel, *, resolve: Callable[[str], str], default_name: str
    ) -> Model:
        """Register what stands in a deployment; equal content gives the equal version."""
        content = self._find_content(resolve(spec.path), base=Path.cwd())
        type_ = _settle_type(spec.type, content)
        generated = hash_text(content.digest, type_)[:12]
        return self._register(
            _Draft(
                name=check_asset_name(spec.name or default_name, what="model.name"),
                version=check_asset_name(spec.version or generated, what="model.version"),
                type=type_,
                content=content,
                description=spec.description,
                tags=spec.tags,
                properties=spec.properties,
                stage=spec.stage,
                is_generated=True,
            )
        )

    def get(self, name: str, version: str | None = None, *, label: str | None = None) -> Model:
        """A version, without one the latest; ``label`` may be an alias in MLflow.

        Raises NotFoundError (MODEL_NOT_FOUND) with the closest name or the newest version.
        """
        return self._read(self.find_version(name, version, label=label), located=True)

    def resolve(self, reference: str) -> Model:
        """What ``azureml:<name>:<version>``, ``@latest`` or ``models:/<name>/<number>`` names.

        Anything else that names a model (``runs:/...``, a datastore path, a URI) is registered
        under a generated name.
        """
        place = parse_model(reference)
        if isinstance(place, AssetReference):
            return self.get(place.name, place.version, label=place.label)
        if isinstance(place, MlflowReference) and place.uri.startswith("models:/"):
            return self._read(find_mlflow_version(self, place.uri), located=True)
        content = self._find_content(reference, base=Path.cwd())
        type_ = _settle_type(None, content)
        version = hash_text(content.digest, type_)[:12]
        name = f"model-{hash_text(reference)[:12]}"
        draft = _Draft(name=name, version=version, type=type_, content=content, is_generated=True)
        return self._register(draft)

    def list(self, name: str | None = None, *, archived: Archived = "exclude") -> Table[Model]:
        """All versions, newest first; raises NotFoundError for a name that has none."""
        versions = self._list_versions(name)
        wanted = {"exclude": (False,), "only": (True,), "include": (False, True)}[archived]
        kept = [version for version in versions if version.is_archived in wanted]
        kept.sort(key=lambda version: (version.created_at, version.number), reverse=True)
        return Table(self._read(version, located=False) for version in kept)

    def archive(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Hide one version, or all, from lists and ``@latest``; references go on working."""
        self._set_archived(name, version, "true", precondition)

    def restore(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Undo ``archive``."""
        self._set_archived(name, version, "false", precondition)

    def delete(
        self,
        name: str,
        version: str | None = None,
        *,
        precondition: Precondition = NO_PRECONDITION,
    ) -> None:
        """Delete one version, or all; the files stay in MLflow's artifact store."""
        chosen = self._choose(name, version, precondition)
        with self.mlflow.writing() as client:
            for one in chosen:
                self.registry.delete_version(client, one)
                self._cache.forget(f"azureml:{one.name}:{one.version}")

    def get_local_path(self, model: Model) -> Path:
        """The model's file or folder on this machine; downloaded once, checked, and kept.

        Raises UnresolvedReferenceError (MODEL_NOT_FETCHED, MODEL_CHANGED, MODEL_DAMAGED).
        """
        return self._cache.get(model)

    def pin(self, reference: str) -> str:
        """``azureml:<name>:<version>`` of what ``reference`` names now, its files being here."""
        if self._cache.find_remembered(reference) is not None:
            return reference
        model = self.resolve(reference)
        self.get_local_path(model)
        return model.reference

    def get_registered_path(self, reference: str) -> Path:
        """The same for ``azureml:<name>:<version>``; the registry is asked the first time only."""
        known = self._cache.find_remembered(reference)
        return self.get_local_path(self.resolve(reference)) if known is None else known

    def find_version(
        self, name: str, version: str | None, *, label: str | None = None
    ) -> RegisteredVersion:
        """The version as the registry keeps it; see ``get``."""
        versions = self.registry.list_versions(name)
        if version is not None:
            found = next((one for one in versions if one.version == version), None)
        elif label in (None, LATEST):
            found = next((one for one in versions if not one.is_archived), None)
        else:
            found = self.registry.find_by_alias(name, str(label))
        if found is None:
            raise self._not_found(name, version or label, versions)
        return found

    def _not_found(
        self, name: str, version: str | None, versions: builtins.list[RegisteredVersion]
    ) -> Exception:
        names = [] if versions else self.registry.list_names()
        known = (one.version for one in versions)
        return asset_not_found("model", name, version, names=names, versions=known)

    def _find_content(self, path: str, *, base: Path) -> ModelContent:
        return find_content(self._workspace, self, path, base=base)

    def _register(self, draft: _Draft) -> Model:
        """Files first, the version last: whatever is killed, no version is half there."""
        if draft.version is not None:
            versions = self.registry.list_versions(draft.name)
            found = _find_same(draft, draft.version, versions)
            if found is not None:
                return self._read(found, located=True)
        content = draft.content
        source, run_id = content.source, content.run_id
        if content.local is not None:
            source, run_id = self.registry.upload(content.local, name=draft.name)
            content.local.check_unchanged()
        return self._read(self._add_version(draft, source=source, run_id=run_id), located=True)

    def _add_version(self, draft: _Draft, *, source: str, run_id: str | None) -> RegisteredVersion:
        with self.mlflow.writing() as client:
            versions = self.registry.list_versions(draft.name)
            version = draft.version or next_version(one.version for one in versions)
            found = _find_same(draft, version, versions)
            if found is not None:
                return found
            added = self.registry.add_version(
                client,
                draft.name,
                source=source,
                run_id=run_id,
                facts=draft.get_facts(version),
                description=draft.description,
            )
            return self._settle(client, draft, added)

    def _settle(self, client: Any, draft: _Draft, added: RegisteredVersion) -> RegisteredVersion:
        """Another machine may have registered the same version meanwhile: the first one counts."""
        rivals = [
            one
            for one in self.registry.list_versions(draft.name)
            if one.version == added.version and one.number < added.number
        ]
        if not rivals:
            return added
        self.registry.delete_version(client, added)
        check_same("model", draft.name, added.version, draft.is_same(rivals[-1]))
        return rivals[-1]

    def _list_versions(self, name: str | None) -> builtins.list[RegisteredVersion]:
        versions = self.registry.list_versions(name)
        if name is not None and not versions:
            raise self._not_found(name, None, versions)
        return versions

    def _choose(
        self, name: str, version: str | None, precondition: Precondition
    ) -> builtins.list[RegisteredVersion]:
        is_all = version is None
        chosen = self._list_versions(name) if is_all else [self.find_version(name, version)]
        if precondition.etags:
            for one in chosen:
                precondition.check_etag("model", name, self._read(one, located=True).etag)
        return chosen

    def _set_archived(
        self, name: str, version: str | None, value: str, precondition: Precondition
    ) -> None:
        for one in self._choose(name, version, precondition):
            self.registry.set_fact(one, "archived", value)

    def _read(self, version: RegisteredVersion, *, located: bool) -> Model:
        """``located``: also follow sources such as ``models:/m-...`` to where the files are."""
        uri = self.registry.locate(version) if located else version.source
        path = find_artifact_path(uri) or uri
        facts = version.facts
        flavors = version.read_map("flavors")
        return Model(
            name=version.name,
            version=version.version,
            type=facts.get("type") or (CUSTOM if "digest" in facts else MLFLOW),
            path=path,
            digest=get_digest(version),
            digest_of=facts.get("digest_of", NOTHING),
            base_name=facts.get("name") or version.name,
            created_at=version.created_at,
            number=version.number,
            options=version.read_map("options"),
            description=version.description,
            tags={**version.foreign_tags, **version.read_map("tags")},
            properties=version.read_map("properties"),
            flavors=flavors,
            stage=facts.get("stage"),
            is_archived=version.is_archived,
            is_generated=facts.get("generated") == "true",
        )


def _find_same(
    draft: _Draft, version: str, versions: Sequence[RegisteredVersion]
) -> RegisteredVersion | None:
    """The version that is there already; raises AlreadyExistsError if its content is another."""
    found = next((one for one in versions if one.version == version), None)
    if found is not None:
        check_same("model", draft.name, version, draft.is_same(found))
    return found


def _settle_type(given: str | None, content: ModelContent) -> str:
    if given == MLFLOW and not content.is_mlflow:
        raise InvalidFieldError(
            f"model {content.base_name} is no MLflow model, it has no MLmodel file: use "
            f"type {CUSTOM} with a scoring script",
            condition="MODEL_NOT_MLFLOW",
            type=given,
        )
    return given or (MLFLOW if content.is_mlflow else CUSTOM)
