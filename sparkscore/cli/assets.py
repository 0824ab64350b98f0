"""The verbs that models, environments and data assets share. Control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from sparkscore.cli import flags
from sparkscore.cli.confirm import confirm
from sparkscore.cli.generic import Session, command
from sparkscore.cli.output import Columns

GetManager = Callable[[Session], Any]


def register_verbs(
    app: typer.Typer, *, kind: str, get_manager: GetManager, columns: Columns
) -> None:
    """Add show, list, delete, archive and restore to the group of an asset."""

    def show(
        session: Session,
        name: flags.Name,
        version: flags.Version = None,
        label: flags.Label = None,
    ) -> Any:
        return get_manager(session).get(name, version, label=label)

    def list_(
        session: Session,
        archived: flags.ArchivedFlags,
        name: flags.OptionalName = None,
        max_results: flags.MaxResults = None,
    ) -> Any:
        return get_manager(session).list(name, archived=archived.archived)[:max_results]

    def delete(
        session: Session,
        name: flags.Name,
        version: flags.Version = None,
        yes: flags.Yes = False,
        no_wait: flags.NoWait = False,
    ) -> None:
        del no_wait
        manager = get_manager(session)
        if version is None:
            manager.list(name, archived="include")  # raises what there is to say
            what = f"all versions of {kind} {name}"
        else:
            manager.get(name, version)
            what = f"version {version} of {kind} {name}"
        confirm(f"delete {what}", yes=yes)
        manager.delete(name, version)

    def archive(session: Session, name: flags.Name, version: flags.Version = None) -> None:
        get_manager(session).archive(name, version)

    def restore(session: Session, name: flags.Name, version: flags.Version = None) -> None:
        get_manager(session).restore(name, version)

    show.__doc__ = f"Show a version of the {kind}, by default the latest."
    list_.__doc__ = f"List every {kind}, the newest version first."
    delete.__doc__ = f"Delete a version of the {kind}, or all of them."
    archive.__doc__ = f"Leave a version of the {kind}, or all of them, out of lists."
    restore.__doc__ = f"Show an archived {kind} in lists again."
    command(app, columns=columns)(show)
    command(app, "list", columns=columns)(list_)
    for verb in (delete, archive, restore):
        command(app)(verb)
