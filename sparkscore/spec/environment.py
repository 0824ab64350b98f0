"""An environment, of a deployment or on its own. Any process."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sparkscore.spec.types import Allowed, RequiredText, Spec, StringMap, Text, TextList


class BuildSpec(Spec):
    """How an image is built."""

    path: RequiredText | None = Field(
        default=None, description="Folder to build the image from; relative to this file."
    )
    dockerfile_path: RequiredText | None = Field(
        default=None, description="Dockerfile inside that folder."
    )


def _conda_tag(value: Any) -> str:
    return "map" if isinstance(value, dict) else "file"


CondaFile = Annotated[
    Annotated[
        str,
        Field(min_length=1),
        Allowed("a path, or the mapping that a conda file holds"),
        Tag("file"),
    ]
    | Annotated[dict[str, Any], Tag("map")],
    Discriminator(_conda_tag),
]


def _requirements_tag(value: Any) -> str:
    return "lines" if isinstance(value, (list, tuple)) else "file"


Requirements = Annotated[
    Annotated[str, Field(min_length=1), Allowed("a path, or a list of requirements"), Tag("file")]
    | Annotated[TextList, Tag("lines")],
    Discriminator(_requirements_tag),
]
PythonVersion = Annotated[
    str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$"), Allowed('a version in quotes: "3.11"')
]


class EnvironmentSpec(Spec):
    """What an environment consists of."""

    name: RequiredText | None = Field(default=None, description="Name of the environment.")
    version: Text | None = Field(default=None, description="Version of the environment.")
    image: RequiredText | None = Field(
        default=None, description="Container image. Recorded; sparkscore starts no container."
    )
    conda_file: CondaFile | None = Field(
        default=None,
        description="Conda file, relative to this file, or its content as a mapping.",
    )
    requirements: Requirements | None = Field(
        default=None,
        description="Requirements file of pip, relative to this file, or its lines as a list.",
    )
    python_version: PythonVersion | None = Field(
        default=None,
        description="Python of the environment, such as 3.11. sparkscore's own if neither this nor "
        "the conda file says so.",
    )
    archive: RequiredText | None = Field(
        default=None,
        description="An environment that was packed with its interpreter (.tar.gz, .tar.zst or "
        ".zip), relative to this file. In place of conda_file and requirements.",
    )
    python: Annotated[str, Field(pattern="^/"), Allowed("an absolute path")] | None = Field(
        default=None,
        description="Interpreter that is there on every worker, such as one of their image. In "
        "place of conda_file and requirements.",
    )
    build: BuildSpec | None = Field(default=None, description="How the image is built. Recorded.")
    os_type: Annotated[Literal["linux", "windows"], Allowed("linux or windows")] = Field(
        default="linux", description="Operating system of the environment: linux or windows."
    )
    description: Text | None = Field(
        default=None, description="What the environment is, for people."
    )
    tags: StringMap = Field(
        default_factory=dict, description="Tags of the environment, name to value."
    )
    properties: StringMap = Field(
        default_factory=dict, description="Properties of the environment, name to value."
    )
    inference_config: dict[str, Any] = Field(
        default_factory=dict, description="Routes of an online deployment. Recorded, never used."
    )


def _tag(value: Any) -> str:
    return "inline" if isinstance(value, (dict, EnvironmentSpec)) else "reference"


_Reference = Annotated[
    str,
    Field(min_length=1),
    Allowed("a reference (azureml:<name>:<version>) or a mapping with `image` and `conda_file`"),
]

Environment = Annotated[
    Annotated[_Reference, Tag("reference")] | Annotated[EnvironmentSpec, Tag("inline")],
    Discriminator(_tag),
]
