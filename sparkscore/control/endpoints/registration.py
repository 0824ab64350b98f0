"""Turns a written deployment into a registered one: every reference names one version.

Control plane. Inline models, code and environments are registered first, so that what a
deployment refers to never changes beneath it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.access.places import admit, admit_file
from sparkscore.control.deployment import find_code_folder, is_registered, placing
from sparkscore.control.environments.model import OF_MODEL
from sparkscore.control.model import LocalModel, Model
from sparkscore.control.scoring_script import check_scoring_script
from sparkscore.listing.location import find_local_path
from sparkscore.spec import LoadedDeployment
from sparkscore.storage import is_uri

if TYPE_CHECKING:
    from sparkscore.control.workspace import Workspace

LOCAL_COMPUTE = "azureml:local"

_ELSEWHERE = ("azureml:", "models:/", "runs:/")


class WorkspaceReferences:
    """Finds what deployments of a workspace refer to."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find_model(self, reference: str, *, has_script: bool) -> Model:
        """The registered model, on this machine."""
        del has_script
        return LocalModel(self._workspace.models.get_registered_path(reference))

    def find_code(self, reference: str) -> Path:
        """The folder of registered code."""
        return self._workspace.code.resolve(reference).path

    def find_environment(self, reference: str) -> Mapping[str, Any]:
        """The document of a registered environment."""
        return self._workspace.environments.resolve(reference).document


def register_deployment(
    workspace: Workspace, loaded: LoadedDeployment, *, checks_script: bool = True
) -> dict[str, Any]:
    """The deployment's document with every reference resolved to a registered version.

    Raises SpecError, UnresolvedReferenceError or NotFoundError, naming where the reference stands.
    """
    check_deployment(workspace, loaded, checks_script=checks_script)
    document: dict[str, Any] = loaded.spec.to_document()
    document["compute"] = loaded.spec.compute or LOCAL_COMPUTE
    with placing(loaded, "model"):
        document["model"] = _register_model(workspace, loaded)
    with placing(loaded, "code_configuration"):
        if loaded.spec.code_configuration is not None:
            document["code_configuration"]["code"] = _register_code(workspace, loaded)
    with placing(loaded, "environment"):
        if loaded.spec.environment is not None:
            document["environment"] = _register_environment(workspace, loaded)
    return document


def check_deployment(
    workspace: Workspace, loaded: LoadedDeployment, *, checks_script: bool = True
) -> None:
    """Check all that a deployment refers to.

    Raises what ``register_deployment`` does; registers nothing.
    """
    _admit_paths(workspace, loaded)
    spec = loaded.spec
    with placing(loaded, "compute"):
        workspace.computes.resolve(
            spec.compute or LOCAL_COMPUTE, instance_count=spec.given_instance_count
        )
    with placing(loaded, "code_configuration"):
        _check_code(workspace, loaded, checks_script=checks_script)
    with placing(loaded, "model"):
        _check_model(workspace, loaded)
    with placing(loaded, "environment"):
        if spec.environment == OF_MODEL:
            pass
        elif isinstance(spec.environment, str):
            workspace.environments.resolve(spec.environment)
        elif spec.environment is not None:
            workspace.environments.check_inline(
                spec.environment,
                resolve=loaded.resolve,
                default_name=f"{spec.endpoint_name}-{spec.name}",
            )


def _admit_paths(workspace: Workspace, loaded: LoadedDeployment) -> None:
    """Refuse places that the workspace's callers may not name, before anything is read."""
    spec = loaded.spec
    if not isinstance(spec.model, str) and not spec.model.path.startswith(_ELSEWHERE):
        admit(workspace, loaded.resolve(spec.model.path))
    code = None if spec.code_configuration is None else spec.code_configuration.code
    if code is not None and not is_registered(code):
        admit_file(workspace, loaded.resolve(code))


def _check_code(workspace: Workspace, loaded: LoadedDeployment, *, checks_script: bool) -> None:
    configuration = loaded.spec.code_configuration
    folder = find_code_folder(loaded, WorkspaceReferences(workspace))
    if configuration is not None and folder is not None:
        check_scoring_script(
            folder, scoring_script=configuration.scoring_script, parses=checks_script
        )


def _check_model(workspace: Workspace, loaded: LoadedDeployment) -> None:
    """What lies elsewhere is looked at when it is fetched."""
    model, has_script = loaded.spec.model, loaded.spec.code_configuration is not None
    if isinstance(model, str):
        pinned = workspace.models.pin(model)
        LocalModel(workspace.models.get_registered_path(pinned)).check(has_script=has_script)
        return
    path = find_local_path(loaded.resolve(model.path))
    if path is not None and not model.path.startswith(_ELSEWHERE):
        LocalModel(Path(path)).check(has_script=has_script)


def _register_model(workspace: Workspace, loaded: LoadedDeployment) -> str:
    spec = loaded.spec
    if isinstance(spec.model, str):
        return workspace.models.pin(spec.model)
    default_name = f"{spec.endpoint_name}-{spec.name}"
    model = workspace.models.register_inline(
        spec.model, resolve=loaded.resolve, default_name=default_name
    )
    if not is_uri(model.path):
        # Its place is remembered, so that the first job need not ask the registry.
        workspace.models.get_local_path(model)
    return model.reference


def _register_code(workspace: Workspace, loaded: LoadedDeployment) -> str:
    folder = find_code_folder(loaded, WorkspaceReferences(workspace))
    configuration = loaded.spec.code_configuration
    assert configuration is not None
    assert folder is not None
    if is_registered(configuration.code):
        return workspace.code.resolve(configuration.code).reference
    return workspace.code.register(folder).reference


def _register_environment(workspace: Workspace, loaded: LoadedDeployment) -> str:
    spec = loaded.spec
    if spec.environment == OF_MODEL:
        return OF_MODEL
    if isinstance(spec.environment, str):
        return workspace.environments.resolve(spec.environment).reference
    assert spec.environment is not None
    default_name = f"{spec.endpoint_name}-{spec.name}"
    environment = workspace.environments.register_inline(
        spec.environment, resolve=loaded.resolve, default_name=default_name
    )
    return environment.reference
