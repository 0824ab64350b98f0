"""Which datastore a URI lies in. Control plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkscore.rest.envelope import split_azure_uri

if TYPE_CHECKING:
    from sparkscore.control import InvokeRequest, Workspace
    from sparkscore.control.assets.entities import Datastore


def find_datastore_path(workspace: Workspace, uri: str) -> tuple[str, str] | None:
    """As ``find_in_datastores``, in those of the workspace."""
    return find_in_datastores(workspace.datastores.list(), uri)


def find_in_datastores(datastores: Iterable[Datastore], uri: str) -> tuple[str, str] | None:
    """The name of the datastore that holds ``uri``, the deepest one, and the path in it.

    ``https://ACCOUNT.blob...`` names what ``abfss://`` and ``wasbs://`` do, and so does the
    address of a datastore's own endpoint.
    """
    found: list[tuple[int, str, str]] = []
    for datastore in datastores:
        for root in _list_roots(datastore.uri, datastore.options.get("endpoint")):
            if uri == root or uri.startswith(f"{root}/"):
                found.append((len(root), datastore.name, uri[len(root) :].strip("/")))
        below = _find_below(uri, datastore.uri, datastore.options.get("account_name", ""))
        if below is not None:
            found.append((len(datastore.uri), datastore.name, below))
    return max(found)[1:] if found else None


def settle_uri(workspace: Workspace, uri: str) -> str:
    """``azureml://datastores/...`` for a web address within a datastore; others as they are."""
    if not uri.lower().startswith(("https://", "http://")) or "?" in uri:
        return uri
    found = find_datastore_path(workspace, uri)
    return uri if found is None else f"azureml://datastores/{found[0]}/paths/{found[1]}"


def settle_path(workspace: Workspace, section: dict[str, Any]) -> None:
    """The same for the member ``path`` of a document or a section of it."""
    path = section.get("path")
    if isinstance(path, str):
        section["path"] = settle_uri(workspace, path)


def settle_deployment(workspace: Workspace, document: dict[str, Any]) -> None:
    """The same for an inline model and code."""
    if isinstance(document.get("model"), dict):
        settle_path(workspace, document["model"])
    code = document.get("code_configuration") or {}
    if isinstance(code.get("code"), str):
        code["code"] = settle_uri(workspace, code["code"])


def settle_request(workspace: Workspace, request: InvokeRequest) -> InvokeRequest:
    """The same for input and output of a job."""
    changes: dict[str, Any] = {
        name: settle_uri(workspace, uri)
        for name in ("input", "output_path")
        if (uri := getattr(request, name)) is not None
    }
    return replace(request, **changes)


def _list_roots(uri: str, endpoint: str | None) -> list[str]:
    _, container, path = split_azure_uri(uri)
    if not container or endpoint is None or "://" not in endpoint:
        return [uri]
    below = f"/{path}" if path else ""
    return [uri, f"{endpoint.rstrip('/')}/{container}{below}"]


def _find_below(uri: str, root: str, account_name: str) -> str | None:
    """The path below a root in the same account and container, None if it is elsewhere."""
    account, container, path = split_azure_uri(root)
    account = account or account_name
    there, its_container, its_path = split_azure_uri(uri)
    if not there or (there, its_container) != (account, container):
        return None
    if path and its_path != path and not its_path.startswith(f"{path}/"):
        return None
    return its_path[len(path) :].strip("/")
