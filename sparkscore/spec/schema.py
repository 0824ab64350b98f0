"""The JSON Schema of a deployment file, generated from the models. Any process, pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.settings import SettingsSpec

Schema = dict[str, Any]


def deployment_json_schema() -> Schema:
    """JSON Schema (2020-12) that accepts both layouts of a deployment file."""
    generated = DeploymentSpec.model_json_schema(mode="validation")
    definitions: dict[str, Schema] = _tidy(generated.pop("$defs"))
    root: Schema = _tidy(generated)
    _accept_local_path(definitions["InlineModel"])
    _accept_code_mapping(definitions["CodeConfiguration"])
    root["properties"]["$schema"] = {"type": "string", "description": "Ignored; for editors."}
    definitions["NestedDeployment"] = _nested(root, definitions["SettingsSpec"])
    definitions["FlatDeployment"] = _flat(root, definitions["SettingsSpec"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sparkscore model deployment",
        "description": "A model deployment, with its settings under `settings` or, in the flat "
        "layout of 2021, at the root.",
        "anyOf": [
            {"$ref": "#/$defs/NestedDeployment"},
            {"$ref": "#/$defs/FlatDeployment"},
        ],
        "$defs": definitions,
    }


def _nested(root: Schema, settings: Schema) -> Schema:
    nested = deepcopy(root)
    nested["description"] = "Nested layout: settings stand under `settings`."
    nested["properties"]["error_threshold"] = settings["properties"]["error_threshold"]
    nested["anyOf"] = [{"required": ["type"]}, {"required": ["settings"]}]
    return nested


def _flat(root: Schema, settings: Schema) -> Schema:
    flat = deepcopy(root)
    flat["description"] = "Flat layout: settings stand at the root, and there is no `type`."
    properties = flat["properties"]
    del properties["type"]
    lifted = {name for name in SettingsSpec.model_fields if name != "instance_count"}
    properties.update({name: settings["properties"][name] for name in lifted})
    properties["settings"] = {
        "type": "object",
        "description": "In the flat layout: error_threshold only.",
        "properties": {"error_threshold": settings["properties"]["error_threshold"]},
        "required": ["error_threshold"],
        "additionalProperties": False,
    }
    return flat


def _accept_local_path(model: Schema) -> None:
    model["properties"]["local_path"] = {
        **model["properties"]["path"],
        "description": "The same as path, as files of 2021 have it.",
    }
    model.pop("required")
    model["oneOf"] = [{"required": ["path"]}, {"required": ["local_path"]}]


def _accept_code_mapping(configuration: Schema) -> None:
    code = configuration["properties"]["code"]
    path = {key: value for key, value in code.items() if key != "description"}
    mappings = [
        {
            "type": "object",
            "properties": {name: {**path, "description": "The folder's path."}},
            "required": [name],
            "additionalProperties": False,
        }
        for name in ("local_path", "path")
    ]
    configuration["properties"]["code"] = {
        "description": code["description"],
        "anyOf": [path, *mappings],
    }


def _tidy(schema: Any) -> Any:
    """Without null, which a file may not hold, and without titles generated from names."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
    options = kept.get("anyOf", [])
    if {"type": "null"} in options:
        kept["anyOf"] = [option for option in options if option != {"type": "null"}]
        if len(kept["anyOf"]) == 1:
            kept |= kept.pop("anyOf")[0]
    return kept
