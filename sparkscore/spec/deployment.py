"""A model deployment as its user wrote it, in the nested layout, with all defaults. Any process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from sparkscore.spec.environment import Environment
from sparkscore.spec.grammar import Conflict, Document, FlatLayout, Grammar
from sparkscore.spec.model import Model
from sparkscore.spec.rules import iter_conflicts
from sparkscore.spec.settings import OUTPUT_FORMATS, OutputFormat, RetrySettings, SettingsSpec
from sparkscore.spec.types import (
    Allowed,
    Count,
    FilePath,
    Name,
    RequiredText,
    RetryCount,
    Spec,
    StringMap,
    Text,
    TextList,
)

DeploymentType = Annotated[
    Literal["model"],
    Allowed(
        "model",
        hints={
            "pipeline": "pipeline component deployments are not supported: deploy each model with "
            "`type: model`"
        },
    ),
]


class CodeConfiguration(Spec):
    """Where the scoring script is."""

    code: Annotated[
        str, Field(min_length=1), Allowed("the path of a folder, or local_path with that path")
    ] = Field(
        description="Folder with the Python sources; relative to the deployment file. Also "
        "written code.local_path."
    )
    scoring_script: FilePath = Field(
        description="File in that folder that defines init() and run(mini_batch)."
    )


class ResourcesSpec(Spec):
    """What one job gets; keys other than instance_count and gpus are recorded only."""

    instance_count: Count | None = Field(
        default=None,
        description="Number of instances (Spark executors) per job. 1 if not given; all cores if "
        "max_concurrency_per_instance is not given either.",
    )
    gpus: RetryCount = Field(
        default=0,
        description="Number of GPUs of one instance, on a compute that has them. Mini-batches that "
        "are scored at the same time share them equally; each script sees only its own.",
    )
    instance_type: Text | None = Field(default=None, description="Kind of machine. Recorded.")
    properties: dict[str, Any] = Field(
        default_factory=dict, description="Properties of the compute. Recorded."
    )
    locations: TextList = Field(default=(), description="Places where the job may run. Recorded.")
    shm_size: Text | None = Field(
        default=None, description="Shared memory of a container, such as 2g. Recorded."
    )
    max_instance_count: Count | None = Field(
        default=None, description="Largest number of instances. Recorded."
    )
    docker_args: Text | None = Field(
        default=None, description="Arguments of a container engine. Recorded."
    )


_GRAMMAR = Grammar(
    kind="deployment",
    aliases={
        "model.local_path": ("model", "path"),
        "code_configuration.code.local_path": ("code_configuration", "code"),
        "code_configuration.code.path": ("code_configuration", "code"),
    },
    short_keys={
        **{name: ("settings", "retry_settings", name) for name in RetrySettings.model_fields},
        "instance_count": ("resources", "instance_count"),
    },
    ignored=(),
    flat=FlatLayout(
        section="settings", stays=frozenset({"instance_count"}), anywhere="error_threshold"
    ),
)


class DeploymentSpec(Document):
    """One model deployment.

    Fields hold what was written; the properties hold what follows from it where a default depends
    on other fields. Paths stay as written: LoadedDeployment.resolve makes them absolute.
    """

    grammar: ClassVar[Grammar] = _GRAMMAR

    name: Name = Field(description="Name of the deployment, unique within its endpoint.")
    endpoint_name: Name = Field(description="Name of the endpoint that the deployment belongs to.")
    type: DeploymentType = Field(
        default="model",
        description="model. If given, settings stand in `settings`; the flat layout has no type.",
    )
    description: Text | None = Field(default=None, description="What it is for, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
    model: Model = Field(
        description="The model: azureml:<name>:<version>, models:/..., runs:/..., or inline with "
        "path."
    )
    code_configuration: CodeConfiguration | None = Field(
        default=None, description="The scoring script; not needed for an MLflow model."
    )
    environment: Environment | None = Field(
        default=None, description="Packages that the scoring script needs: reference or inline."
    )
    compute: RequiredText | None = Field(
        default=None,
        description="Where jobs of the endpoint run, such as azureml:<compute>; this machine if "
        "not given.",
    )
    resources: ResourcesSpec | None = Field(default=None, description="What one job gets.")
    settings: SettingsSpec = Field(
        default_factory=SettingsSpec, description="How inputs are scored and results written."
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from iter_conflicts(self)

    @property
    def given_instance_count(self) -> int | None:
        """Instances per job, None if the user gave none."""
        if self.resources is not None and self.resources.instance_count is not None:
            return self.resources.instance_count
        return self.settings.instance_count

    @property
    def gpus_per_instance(self) -> int:
        """GPUs of one instance, 0 by default."""
        return self.resources.gpus if self.resources is not None else 0

    @property
    def instance_count(self) -> int:
        """Instances per job, 1 by default."""
        return self.given_instance_count or 1

    @property
    def max_concurrency_per_instance(self) -> int:
        """Mini-batches scored at the same time on one instance, 1 by default."""
        return self.settings.max_concurrency_per_instance or 1

    @property
    def slots(self) -> int | None:
        """Mini-batches scored at the same time that the user asked for, None if they did not."""
        given = (self.given_instance_count, self.settings.max_concurrency_per_instance)
        if given == (None, None):
            return None
        return self.instance_count * self.max_concurrency_per_instance

    @property
    def output_format(self) -> OutputFormat:
        """Format of the output, from the table, the file name's suffix, or csv if not given."""
        if self.settings.output_format is not None:
            return self.settings.output_format
        if self.settings.output_table is not None:
            return "delta"
        name = (self.settings.output_file_name or "").lower()
        return next((format_ for format_ in OUTPUT_FORMATS if name.endswith(f".{format_}")), "csv")

    @property
    def output_file_name(self) -> str:
        """Name of the output file; empty for summary_only, a table, and an unnamed Delta folder."""
        if self.settings.output_action == "summary_only":
            return ""
        if self.settings.output_file_name is not None:
            return self.settings.output_file_name
        return "" if self.output_format == "delta" else f"predictions.{self.output_format}"

    def record(self) -> dict[str, Any]:
        """The deployment as JSON types with what follows from it, for summaries.

        A null instance_count and max_concurrency_per_instance means that neither was given.
        """
        content = self.model_dump(mode="json")
        content["settings"]["output_format"] = (
            None if self.settings.output_action == "summary_only" else self.output_format
        )
        content["settings"]["output_file_name"] = self.output_file_name or None
        return content
