"""The JSON Schemas of documents, generated from their models. Any process, pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.grammar import Document, Grammar, TypeKeys
from sparkscore.spec.settings import SettingsSpec

Schema = dict[str, Any]


def deployment_json_schema() -> Schema:
    """JSON Schema (2020-12) that accepts both layouts of a deployment file."""
    generated = DeploymentSpec.model_json_schema(mode="validation")
    definitions: dict[str, Schema] = _tidy(generated.pop("$defs"))
    root: Schema = _tidy(generated)
    _accept_alias(definitions["InlineModel"], "local_path", "path")
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


def document_json_schema(model: type[Document]) -> Schema:
    """JSON Schema (2020-12) of a document's file."""
    if model is DeploymentSpec:
        return deployment_json_schema()
    generated = model.model_json_schema(mode="validation")
    with_null = model.grammar.accepts_null
    definitions: dict[str, Schema] = _tidy(generated.pop("$defs", {}), with_null=with_null)
    root: Schema = _tidy(generated, with_null=with_null)
    _accept_ignored_keys(root["properties"], model.grammar)
    for alias, path in model.grammar.aliases.items():
        _accept_alias(root, alias, path[0])
    rules = [_type_rule(model, type_, keys) for type_, keys in model.grammar.types.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"sparkscore {model.grammar.kind}",
        **root,
        **({"allOf": rules} if rules else {}),
        **({"$defs": definitions} if definitions else {}),
    }


def _accept_ignored_keys(properties: dict[str, Any], grammar: Grammar) -> None:
    properties["$schema"] = {"type": "string", "description": "Ignored; for editors."}
    for name in grammar.ignored:
        properties[name] = {"description": "Ignored; `show` prints it."}
    for name, why in grammar.refused.items():
        if "." not in name:
            properties[name] = {"enum": [{}, [], None], "description": f"Not accepted: {why}."}


def _accept_alias(root: Schema, alias: str, name: str) -> None:
    root["properties"][alias] = {
        **root["properties"][name],
        "description": f"The same as {name}, as files of 2021 have it.",
    }
    root["required"] = [other for other in root["required"] if other != name]
    root["oneOf"] = [{"required": [name]}, {"required": [alias]}]


def _type_rule(model: type[Document], type_: str, keys: TypeKeys) -> Schema:
    foreign = sorted(model.grammar.find_foreign_keys(type_))
    return {
        "if": {"properties": {"type": {"const": type_}}},
        "then": {"required": list(keys.required), "properties": dict.fromkeys(foreign, False)},
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


def _tidy(schema: Any, *, with_null: bool = False) -> Any:
    """Without null, which most files may not hold, and without titles generated from names."""
    if isinstance(schema, list):
        return [_tidy(item, with_null=with_null) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _tidy(value, with_null=with_null)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
    options = kept.get("anyOf", [])
    if {"type": "null"} in options and not with_null:
        kept["anyOf"] = [option for option in options if option != {"type": "null"}]
        if len(kept["anyOf"]) == 1:
            kept |= kept.pop("anyOf")[0]
    return kept
