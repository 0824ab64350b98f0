"""The package's public names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sparkscore.spec

HEAVY = ("pandas", "numpy", "pyarrow", "pyspark", "mlflow", "sqlalchemy", "fastapi", "typer")


def find_loaded(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    return set(output.split())


def test_public_names__are_exact():
    assert sparkscore.spec.__all__ == [
        "DOCUMENTS",
        "AssetReference",
        "BatchEndpointSpec",
        "CodeConfiguration",
        "ComputeSpec",
        "DataSpec",
        "DatastorePath",
        "DatastoreSpec",
        "DeploymentSpec",
        "Document",
        "EnvironmentAssetSpec",
        "EnvironmentSpec",
        "Field",
        "InlineModel",
        "InputSpec",
        "InvokeSpec",
        "Loaded",
        "LoadedDeployment",
        "Location",
        "MlflowReference",
        "ModelSpec",
        "OutputSpec",
        "ResourcesSpec",
        "RetrySettings",
        "SettingsSpec",
        "deployment_json_schema",
        "document_json_schema",
        "find_closest",
        "iter_fields",
        "load_deployment",
        "load_document",
        "parse_asset",
        "parse_compute",
        "parse_data",
        "parse_datastore",
        "parse_model",
        "parse_output",
        "refused_spark_conf",
        "render_yaml",
    ]
    for name in sparkscore.spec.__all__:
        value = getattr(sparkscore.spec, name)
        assert name == "DOCUMENTS" or value.__module__.startswith("sparkscore.spec.")


def test_public_names__others_are_absent():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sparkscore.spec.nothing


def test_import__whole_package_is_light():
    loaded = find_loaded("from sparkscore.spec import load_deployment, deployment_json_schema")
    assert "pydantic" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_import__spark_conf_needs_no_pydantic():
    loaded = find_loaded("from sparkscore.spec import refused_spark_conf")
    assert loaded.isdisjoint({*HEAVY, "pydantic", "yaml"})
