"""A workspace: the folder in which endpoints, assets and jobs live, and what can be done there.

Control plane. ``Workspace.open`` is where the Python API begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkscore.control.user_config import UserConfig, read_user_config
from sparkscore.control.workspace_config import (
    WorkspaceConfig,
    has_config,
    make_workspace_folder,
    read_config,
)

if TYPE_CHECKING:
    from sparkscore.control.access.places import PlacePolicy
    from sparkscore.control.access.tokens import Tokens
    from sparkscore.control.assets.code import CodeAssets
    from sparkscore.control.assets.computes import Computes
    from sparkscore.control.assets.data import DataAssets
    from sparkscore.control.assets.datastores import Datastores
    from sparkscore.control.assets.environments import Environments
    from sparkscore.control.assets.models import Models
    from sparkscore.control.assets.upload import UploadProgress
    from sparkscore.control.endpoints.batch_deployments import BatchDeployments
    from sparkscore.control.endpoints.batch_endpoints import BatchEndpoints
    from sparkscore.control.jobs import Jobs
    from sparkscore.state import Store

WORKSPACE_VARIABLE = "SPARKSCORE_WORKSPACE"
DEFAULT_NAME = "default"

OnMessage = Callable[[str], None]
OnUpload = Callable[["UploadProgress"], None]


class Workspace:
    """Endpoints, deployments, assets and jobs of one workspace.

    The parts are opened on first use. One object may be used from several threads; any number of
    processes may use one workspace. ``places`` limits what callers may name; None: nothing does.
    ``parks_beyond``: how many jobs may run at once, where those far down in the queue are parked
    (see ``jobs.parking``); None: each job has a launcher at once.
    """

    def __init__(
        self,
        config: WorkspaceConfig,
        *,
        on_message: OnMessage | None = None,
        on_upload: OnUpload | None = None,
    ) -> None:
        self.config = config
        self.on_message: OnMessage = on_message or _ignore
        self.on_upload = on_upload
        self.places: PlacePolicy | None = None
        self.parks_beyond: int | None = None

    @classmethod
    def open(
        cls,
        where: str | Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        on_message: OnMessage | None = None,
        on_upload: OnUpload | None = None,
    ) -> Workspace:
        """The workspace in a folder or of a known name, made if there is none yet.

        Without ``where``: SPARKSCORE_WORKSPACE, the configured default, the nearest folder upwards
        with ``sparkscore.toml``, or the workspace ``default`` below ``~/.sparkscore``.
        ``on_message`` gets lines for the user, ``on_upload`` how far the copy of an input is.
        Raises SpecError for a ``sparkscore.toml`` that cannot be read, OutputNotWritableError for
        a folder that cannot be made.
        """
        given = os.environ if environment is None else environment
        folder = find_workspace_folder(where, environment=given)
        if make_workspace_folder(folder) and on_message is not None:
            on_message(f"workspace {folder.name} made in {folder}")
        return cls(read_config(folder), on_message=on_message, on_upload=on_upload)

    @property
    def name(self) -> str:
        """The name in ``sparkscore.toml``."""
        return self.config.name

    @property
    def folder(self) -> Path:
        """The absolute path of the workspace's folder."""
        return self.config.folder

    @cached_property
    def store(self) -> Store:
        """The state store; opened, and brought to this version's schema, on first use."""
        from sparkscore.state import open_store

        return open_store(self.config.store_url)

    @cached_property
    def batch_endpoints(self) -> BatchEndpoints:
        """Endpoints: names under which deployments are invoked."""
        from sparkscore.control.endpoints.batch_endpoints import BatchEndpoints

        return BatchEndpoints(self)

    @cached_property
    def batch_deployments(self) -> BatchDeployments:
        """Deployments: models and how they score."""
        from sparkscore.control.endpoints.batch_deployments import BatchDeployments

        return BatchDeployments(self)

    @cached_property
    def jobs(self) -> Jobs:
        """Jobs: what was invoked, and what came of it."""
        from sparkscore.control.jobs import Jobs

        return Jobs(self)

    @cached_property
    def models(self) -> Models:
        """Models in the workspace's MLflow registry."""
        from sparkscore.control.assets.models import Models

        return Models(self)

    @cached_property
    def environments(self) -> Environments:
        """Environments: packages that scoring scripts need."""
        from sparkscore.control.assets.environments import Environments

        return Environments(self)

    @cached_property
    def data(self) -> DataAssets:
        """Data assets: inputs with a name and a version."""
        from sparkscore.control.assets.data import DataAssets

        return DataAssets(self)

    @cached_property
    def code(self) -> CodeAssets:
        """Copies of code folders, by content."""
        from sparkscore.control.assets.code import CodeAssets

        return CodeAssets(self)

    @cached_property
    def datastores(self) -> Datastores:
        """Datastores: named places for data."""
        from sparkscore.control.assets.datastores import Datastores

        return Datastores(self)

    @cached_property
    def computes(self) -> Computes:
        """Computes: named places to run."""
        from sparkscore.control.assets.computes import Computes

        return Computes(self)

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens that open the workspace's server."""
        from sparkscore.control.access.tokens import Tokens

        return Tokens(self)

    def close(self) -> None:
        """Close the store, if it was opened."""
        if "store" in self.__dict__:
            self.store.close()
            del self.__dict__["store"]

    def to_dict(self) -> dict[str, Any]:
        """What ``workspace show`` prints."""
        config = self.config
        return {
            "name": self.name,
            "id": f"/workspaces/{self.name}",
            "folder": str(self.folder),
            "description": None,
            "location": "local",
            "mlflow_tracking_uri": config.shown_tracking_uri,
            "discovery_url": config.server_url,
            "resource_group": None,
            "max_running_jobs": config.max_running_jobs,
        }

    def __repr__(self) -> str:
        return f"Workspace({str(self.folder)!r})"


def _ignore(message: str) -> None:
    del message


def find_workspace_folder(where: str | Path | None, *, environment: Mapping[str, str]) -> Path:
    """The folder that ``where``, the environment and the user's configuration mean."""
    config = read_user_config(environment)
    chosen = where or environment.get(WORKSPACE_VARIABLE) or config.defaults.get("workspace")
    if isinstance(chosen, Path):
        return chosen.absolute()
    if chosen:
        return _find_named(chosen, config)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if has_config(folder):
            return folder
    return _find_named(DEFAULT_NAME, config)


def _find_named(text: str, config: UserConfig) -> Path:
    """A path, or a bare name: a known one, else one below the user's folder."""
    is_path = os.sep in text or text.startswith((".", "~")) or has_config(Path(text))
    if is_path:
        return Path(os.path.abspath(os.path.expanduser(text)))
    if text in config.workspaces:
        return Path(config.workspaces[text])
    return config.folder / "workspaces" / text
