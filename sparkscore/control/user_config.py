"""What a user has configured for all workspaces: defaults, known names. Control plane.

``config.toml`` in the folder SPARKSCORE_CONFIG_DIR, by default ``~/.sparkscore``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparkscore.control.workspace_config import quote, read_toml
from sparkscore.errors import MalformedDocumentError, OutputNotWritableError

CONFIG_FOLDER_VARIABLE = "SPARKSCORE_CONFIG_DIR"


@dataclass(frozen=True)
class UserConfig:
    """``defaults`` are those of ``configure --defaults``; ``workspaces`` maps name to folder."""

    folder: Path
    defaults: dict[str, str] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file that holds it."""
        return self.folder / "config.toml"

    def with_default(self, key: str, value: str) -> UserConfig:
        """A copy with this default; an empty value removes it."""
        others = {name: text for name, text in self.defaults.items() if name != key}
        return replace(self, defaults={**others, **({key: value} if value else {})})

    def with_workspace(self, name: str, folder: Path) -> UserConfig:
        """A copy that knows a workspace by name."""
        return replace(self, workspaces={**self.workspaces, name: str(folder)})

    def without_workspace(self, name: str) -> UserConfig:
        """A copy that has forgotten a name."""
        left = {known: path for known, path in self.workspaces.items() if known != name}
        return replace(self, workspaces=left)


def read_user_config(environment: Mapping[str, str] | None = None) -> UserConfig:
    """The user's configuration, empty if there is none; raises MalformedDocumentError."""
    given = os.environ if environment is None else environment
    chosen = given.get(CONFIG_FOLDER_VARIABLE)
    folder = Path(chosen) if chosen else Path(given.get("HOME") or Path.home()) / ".sparkscore"
    config = UserConfig(folder=folder.absolute())
    try:
        tables = read_toml(config.file)
    except (FileNotFoundError, NotADirectoryError):
        return config
    except OSError as error:
        raise MalformedDocumentError(
            f"{config.file} cannot be read: {error.strerror}", file=str(config.file)
        ) from error
    return replace(
        config,
        defaults=_get_texts(tables, "defaults", file=config.file),
        workspaces=_get_texts(tables, "workspaces", file=config.file),
    )


def _get_texts(tables: dict[str, Any], title: str, *, file: Path) -> dict[str, str]:
    table = tables.get(title, {})
    if not isinstance(table, dict):
        raise MalformedDocumentError(
            f"{file}: {title} must be a table: write [{title}] and below it NAME = TEXT",
            file=str(file),
            key=title,
        )
    return {key: str(value) for key, value in table.items()}


def write_user_config(config: UserConfig) -> None:
    """Replace the file at once; raises OutputNotWritableError (CONFIG_NOT_WRITABLE)."""
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=config.folder, prefix=".config.")
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(_render(config))
        os.replace(temporary, config.file)
    except OSError as error:
        raise OutputNotWritableError(
            f"{config.file} cannot be written: {error.strerror}",
            condition="CONFIG_NOT_WRITABLE",
            path=str(config.file),
        ) from error


def _render(config: UserConfig) -> str:
    lines = []
    for title, values in (("defaults", config.defaults), ("workspaces", config.workspaces)):
        lines.append(f"[{title}]")
        lines += [f"{quote(key)} = {quote(value)}" for key, value in sorted(values.items())]
        lines.append("")
    return "\n".join(lines)
