"""The inputs and outputs of one call, as a file for ``invoke --file``. Any process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from sparkscore.spec.assets import TABULAR_DATA_NOT_SUPPORTED, TABULAR_HINT, TABULAR_TYPES
from sparkscore.spec.grammar import MISSING_FIELD, Conflict, Document, Grammar
from sparkscore.spec.locations import credentials_conflict
from sparkscore.spec.types import Allowed, RequiredText, Spec

LITERAL_INPUT_NOT_SUPPORTED = "LITERAL_INPUT_NOT_SUPPORTED"
"""Condition of a parameter given to a model deployment."""

_LITERALS = ("string", "integer", "number", "boolean")
_LITERAL_HINT = (
    "model deployments take files only: give the value to the script with `--set "
    "environment_variables.NAME=VALUE`"
)
_ASSETS = ("custom_model", "mlflow_model", "triton_model")
_ASSET_HINT = "a model stands in the deployment, it is no input or output of a job"

_HINTS = {
    **dict.fromkeys(TABULAR_TYPES, TABULAR_HINT),
    **dict.fromkeys(_LITERALS, _LITERAL_HINT),
    **dict.fromkeys(_ASSETS, _ASSET_HINT),
}
_CONDITIONS = {
    **dict.fromkeys(TABULAR_TYPES, TABULAR_DATA_NOT_SUPPORTED),
    **dict.fromkeys(_LITERALS, LITERAL_INPUT_NOT_SUPPORTED),
}

PlaceType = Annotated[
    Literal["uri_folder", "uri_file"],
    Allowed("uri_folder or uri_file", hints=_HINTS, conditions=_CONDITIONS),
]
InputMode = Annotated[
    Literal["ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download"],
    Allowed("ro_mount, rw_mount, download, direct, eval_mount or eval_download"),
]
OutputMode = Annotated[
    Literal["rw_mount", "upload", "direct"], Allowed("rw_mount, upload or direct")
]


class InputSpec(Spec):
    """One input of a job."""

    type: PlaceType | None = Field(
        default=None,
        description="uri_folder or uri_file. A data asset's own type wins; uri_folder otherwise.",
    )
    path: RequiredText | None = Field(
        default=None,
        description="What is scored: azureml:<name>:<version>, azureml://datastores/..., a URI, "
        "or a path relative to this file. Required.",
    )
    mode: InputMode | None = Field(default=None, description="How files reach the job. Recorded.")
    default: Any = Field(
        default=None, description="Value of a literal input, which model deployments do not take."
    )


class OutputSpec(Spec):
    """One output of a job."""

    type: PlaceType | None = Field(
        default=None,
        description="uri_folder, or uri_file: path is then that of the file itself. uri_folder if "
        "not given.",
    )
    path: RequiredText | None = Field(
        default=None,
        description="Where results go: azureml://datastores/..., a URI, or a path relative to "
        "this file. Must not exist.",
    )
    mode: OutputMode | None = Field(default=None, description="How files leave the job. Recorded.")


class InvokeSpec(Document):
    """What one call scores and where the results go."""

    grammar: ClassVar[Grammar] = Grammar(kind="invoke", ignored=())

    inputs: dict[str, InputSpec] = Field(
        default_factory=dict, description="The input of the job, under a name of your choice."
    )
    outputs: dict[str, OutputSpec] = Field(
        default_factory=dict, description="The output of the job, under a name of your choice."
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from _iter_section_conflicts("inputs", self.inputs)
        yield from _iter_section_conflicts("outputs", self.outputs)
        for name, given in self.inputs.items():
            if "default" in given.model_fields_set:
                yield Conflict(
                    ("inputs", name, "default"),
                    f"gives a literal value: {_LITERAL_HINT}",
                    condition=LITERAL_INPUT_NOT_SUPPORTED,
                )
            elif given.path is None:
                yield Conflict(("inputs", name, "path"), "is missing", condition=MISSING_FIELD)


def _iter_section_conflicts(
    section: str, places: Mapping[str, InputSpec | OutputSpec]
) -> Iterator[Conflict]:
    for position, (name, place) in enumerate(places.items()):
        if not re.fullmatch("[A-Za-z0-9_]+", name):
            yield Conflict((section, name), "must be named by letters, digits and '_'")
        if position:
            yield Conflict(
                (section, name),
                f"is one too many: a model deployment takes one of {section}. Remove the others",
            )
        yield from credentials_conflict((section, name, "path"), place.path)
