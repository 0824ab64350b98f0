"""Bodies of environments in the reference's words, as the documents that control takes.

Control plane, pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkscore.errors import MalformedDocumentError
from sparkscore.rest.fields import Fields, given
from sparkscore.rest.resource_bodies import Resource
from sparkscore.spec.document import parse_document
from sparkscore.spec.entries import Entry


def read_environment(body: Mapping[str, Any], *, name: str, version: str) -> dict[str, Any]:
    """The document of an environment's version. ``condaFile`` is YAML or JSON in a text."""
    resource = Resource(body)
    fields = resource.fields
    common = resource.take_common()
    fields.drop("environmentType")
    docker = fields.take_fields("docker")
    docker.drop("dockerSpecificationType", "platform")
    build = fields.take_fields("build")
    image = fields.take_text("image")
    document = {
        "image": image or docker.take_text("dockerImageUri", "image"),
        "conda_file": _read_conda(fields.take("condaFile")),
        "os_type": fields.take_word("osType"),
        "inference_config": fields.take_map("inferenceConfig"),
        "build": _read_build(build),
    }
    docker.refuse_rest()
    fields.refuse_rest()
    return {"name": name, "version": version, **common, **given(document)}


def _read_build(fields: Fields) -> dict[str, Any] | None:
    found = given(
        {
            "path": fields.take_text("contextUri"),
            "dockerfile_path": fields.take_text("dockerfilePath"),
        }
    )
    fields.refuse_rest()
    return found or None


def _read_conda(content: object) -> Any:
    """The mapping in a text; a path is none, as the server's own files are nobody's business."""
    if not isinstance(content, str):
        return content
    if not content.strip():
        return None
    key = "properties.condaFile"
    try:
        return get_plain(parse_document(content, source=key, kind="conda"))
    except MalformedDocumentError as error:
        raise MalformedDocumentError(error.message, key=key, **error.attributes) from error


def get_plain(entry: Entry) -> Any:
    """Entries as JSON types."""
    if isinstance(entry.content, dict):
        return {name: get_plain(member) for name, member in entry.content.items()}
    if isinstance(entry.content, list):
        return [get_plain(member) for member in entry.content]
    return entry.content
