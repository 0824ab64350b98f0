"""Options of commands that start a job of an endpoint. Control plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from sparkscore.cli import flags


@dataclass(frozen=True)
class JobFlags:
    """How the job is named and what it changes of the deployment."""

    deployment_name: Annotated[
        str | None,
        typer.Option("--deployment-name", "-d", help="A deployment other than the default."),
    ] = None
    output_path: Annotated[
        str | None,
        typer.Option("--output-path", metavar="[folder:]URI", help="Where results go."),
    ] = None
    mini_batch_size: flags.MiniBatchSize = None
    instance_count: flags.InstanceCount = None
    overrides: flags.Set = None
    job_name: Annotated[
        str | None,
        typer.Option("--job-name", help="Its name; the same again gives the same job."),
    ] = None
    experiment_name: Annotated[
        str | None, typer.Option("--experiment-name", help="MLflow experiment [the endpoint].")
    ] = None
    display_name: Annotated[
        str | None, typer.Option("--display-name", help="A name for people.")
    ] = None
    description: flags.Description = None
    tags: flags.Tags = None
    compute: Annotated[
        str | None, typer.Option("--compute", help="A compute other than the deployment's.")
    ] = None
    conf: flags.Conf = None

    def to_fields(self) -> dict[str, Any]:
        """As fields of ``InvokeRequest``."""
        return {
            **vars(self),
            "overrides": tuple(self.overrides or ()),
            "tags": flags.parse_pairs(self.tags, flag="--tags"),
            "conf": tuple(self.conf or ()),
        }
