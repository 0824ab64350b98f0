"""A batch endpoint as its user wrote it. Any process."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from sparkscore.spec.grammar import SHOWN_KEYS, Document, Grammar
from sparkscore.spec.types import Allowed, Name, Spec, StringMap, Text

_TOKENS_ONLY = (
    "a batch endpoint has no keys, callers are known by their token: write aad_token, or leave "
    "auth_mode out"
)

AuthMode = Annotated[
    Literal["aad_token"],
    Allowed(
        "aad_token",
        hints=dict.fromkeys(("key", "aml_token"), _TOKENS_ONLY),
    ),
]


class EndpointDefaults(Spec):
    """Defaults of an endpoint."""

    deployment_name: Name | None = Field(
        default=None, description="Deployment that calls go to which name none."
    )


class BatchEndpointSpec(Document):
    """One batch endpoint."""

    grammar: ClassVar[Grammar] = Grammar(
        kind="endpoint",
        accepts_null=True,
        ignored=(*SHOWN_KEYS, "scoring_uri", "openapi_uri"),
        refused={
            "type": "every endpoint here is a batch endpoint: remove the key",
            "traffic": "one deployment gets all calls: write `defaults: {deployment_name: "
            "<deployment>}`",
            "deployments": "write each deployment in a file of its own, with `endpoint_name`, and "
            "give it to `sparkscore batch-deployment create --file`",
        },
    )

    name: Name = Field(description="Name of the endpoint, unique in its workspace in any case.")
    description: Text | None = Field(default=None, description="What it is for, for people.")
    auth_mode: AuthMode = Field(
        default="aad_token", description="How callers are known: aad_token."
    )
    defaults: EndpointDefaults = Field(
        default_factory=EndpointDefaults, description="What a call gets that names nothing else."
    )
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
    location: Text | None = Field(default=None, description="Region. Recorded.")
    identity: dict[str, Any] = Field(
        default_factory=dict, description="Identity that jobs run as. Recorded."
    )
