"""Options that several commands have. Control plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sparkscore.cli.arguments import split_words
from sparkscore.errors import UsageError

Name = Annotated[str, typer.Option("--name", "-n", help="Its name.")]
OptionalName = Annotated[
    str | None, typer.Option("--name", "-n", help="Its name, in place of the file's.")
]
EndpointName = Annotated[
    str, typer.Option("--endpoint-name", "-e", help="The endpoint that it belongs to.")
]
OptionalEndpointName = Annotated[
    str | None,
    typer.Option("--endpoint-name", "-e", help="Its endpoint, in place of the file's."),
]
File = Annotated[Path, typer.Option("--file", "-f", help="The YAML file.")]
OptionalFile = Annotated[Path | None, typer.Option("--file", "-f", help="A YAML file.")]
Version = Annotated[str | None, typer.Option("--version", "-v", help="Its version.")]
Label = Annotated[
    str | None, typer.Option("--label", "-l", metavar="latest", help="In place of a version.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE...", help="In place of what the file says."),
]
Add = Annotated[
    list[str] | None,
    typer.Option("--add", metavar="KEY=VALUE...", help="Add to a map or a list."),
]
Remove = Annotated[
    list[str] | None, typer.Option("--remove", metavar="KEY...", help="Remove a key.")
]
ForceString = Annotated[
    bool, typer.Option("--force-string", help="Values of --set and --add are text.")
]
Tags = Annotated[list[str] | None, typer.Option("--tags", metavar="KEY=VALUE...", help="Tags.")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Accepted; nothing here takes long.")]
MaxResults = Annotated[
    int | None, typer.Option("--max-results", "-r", min=1, help="At most so many.")
]
MiniBatchSize = Annotated[
    int | None, typer.Option("--mini-batch-size", "-m", min=1, help="Files per call of run().")
]
InstanceCount = Annotated[
    int | None, typer.Option("--instance-count", "-c", min=1, help="Instances to score on.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Score the first files only, by path.")
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN...", help="Only paths that match."),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN...", help="No paths that match.")
]
Conf = Annotated[
    list[str] | None,
    typer.Option("--conf", metavar="spark.x=y", help="A setting of the Spark session."),
]
SkipScriptValidation = Annotated[
    bool,
    typer.Option("--skip-script-validation", help="Do not check the scoring script."),
]


@dataclass(frozen=True)
class AssetFlags:
    """What creates a version of an asset, beside what its kind has."""

    file: OptionalFile = None
    name: OptionalName = None
    version: Version = None
    description: Description = None
    tags: Tags = None
    overrides: Set = None

    def to_arguments(self) -> dict[str, Any]:
        """As the managers of ``sparkscore.control`` take them."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "tags": parse_pairs(self.tags, flag="--tags") or None,
            "overrides": self.overrides or (),
        }


@dataclass(frozen=True)
class ArchivedFlags:
    """Whether a list shows what was archived."""

    include_archived: Annotated[
        bool, typer.Option("--include-archived", help="Archived ones too.")
    ] = False
    archived_only: Annotated[bool, typer.Option("--archived-only", help="Archived ones only.")] = (
        False
    )

    @property
    def archived(self) -> Literal["exclude", "include", "only"]:
        """As the managers of ``sparkscore.control`` take it."""
        if self.archived_only:
            return "only"
        return "include" if self.include_archived else "exclude"


@dataclass(frozen=True)
class ChangeFlags:
    """How an update changes what is there."""

    overrides: Set = None
    additions: Add = None
    removals: Remove = None
    force_string: ForceString = False

    def to_arguments(self) -> dict[str, Any]:
        """As the managers of ``sparkscore.control`` take them."""
        return {
            "overrides": self.overrides or (),
            "additions": split_words(self.additions, belong=lambda words: "=" not in words[0]),
            "removals": split_words(self.removals, belong=lambda words: words[1].isdecimal()),
            "force_string": self.force_string,
        }


def parse_pairs(texts: Sequence[str] | None, *, flag: str) -> dict[str, str]:
    """``KEY=VALUE`` texts as a dictionary; raises UsageError (MALFORMED_PAIR)."""
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(
                f"{flag} takes KEY=VALUE, not {text!r}",
                condition="MALFORMED_PAIR",
                flag=flag,
                value=text,
            )
        pairs[key] = value
    return pairs


def refuse_together(*flags: str) -> UsageError:
    """The error for flags of which only one may be given."""
    return UsageError(
        f"{' and '.join(flags)} cannot be given together: choose one",
        condition="CONFLICTING_FLAGS",
        flags=list(flags),
    )
