"""The model of a deployment: a reference, or inline. Any process."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sparkscore.spec.types import Allowed, Reference, RequiredText, Spec, StringMap, Text

ModelType = Annotated[
    Literal["custom_model", "mlflow_model"],
    Allowed(
        "custom_model or mlflow_model",
        hints={
            "triton_model": "Triton models need a Triton server, which sparkscore does not start: "
            "use custom_model with a scoring script"
        },
    ),
]


class InlineModel(Spec):
    """A model file or folder named in the deployment itself."""

    path: RequiredText = Field(
        description="File, folder or URI of the model; relative to this file. Also "
        "written local_path."
    )
    name: RequiredText | None = Field(
        default=None, description="Name of the model, for the record."
    )
    version: Text | None = Field(default=None, description="Version of the model, for the record.")
    type: ModelType | None = Field(
        default=None,
        description="custom_model needs a scoring script, mlflow_model does not. A folder with an "
        "MLmodel file is an MLflow model if not given.",
    )
    description: Text | None = Field(default=None, description="What the model is, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags of the model, name to value.")
    properties: StringMap = Field(
        default_factory=dict, description="Properties of the model, name to value."
    )
    stage: Text | None = Field(default=None, description="Stage of the model, for the record.")
    flavors: dict[str, Any] = Field(
        default_factory=dict, description="Flavours of the model, for the record."
    )
    datastore: Text | None = Field(
        default=None, description="Datastore that holds the model, for the record."
    )


def _tag(value: Any) -> str:
    return "inline" if isinstance(value, (dict, InlineModel)) else "reference"


Model = Annotated[
    Annotated[Reference, Tag("reference")] | Annotated[InlineModel, Tag("inline")],
    Discriminator(_tag),
]
