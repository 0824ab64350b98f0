"""Where a datastore is: its URI and options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkscore.spec import DatastoreSpec, load_document

AZURE = {"account_name": "acc"}


@pytest.mark.parametrize(
    ("document", "uri", "options"),
    [
        ({"type": "local", "path": "a/../b/"}, "/base/b", {}),
        ({"type": "local", "path": "/a"}, "/a", {}),
        ({"type": "s3", "bucket": "b"}, "s3://b", {}),
        ({"type": "s3", "bucket": "b", "path": "/x//y/"}, "s3://b/x/y", {}),
        (
            {
                "type": "s3",
                "bucket": "b",
                "region": "eu",
                "profile": "p",
                "endpoint": "http://127.0.0.1:1",
            },
            "s3://b",
            {"region": "eu", "profile": "p", "endpoint": "http://127.0.0.1:1"},
        ),
        ({"type": "gcs", "bucket": "b", "anonymous": True}, "gs://b", {"anonymous": "true"}),
        (
            {"type": "azure_blob", "container_name": "c", **AZURE},
            "wasbs://c@acc.blob.core.windows.net",
            {"account_name": "acc"},
        ),
        (
            {
                "type": "azure_blob",
                "container_name": "c",
                "path": "x",
                "endpoint": "core.chinacloudapi.cn",
                "protocol": "http",
                **AZURE,
            },
            "wasb://c@acc.blob.core.chinacloudapi.cn/x",
            {"account_name": "acc"},
        ),
        (
            {
                "type": "azure_blob",
                "container_name": "c",
                "endpoint": "http://127.0.0.1:10000/acc",
                **AZURE,
            },
            "wasbs://c@acc.blob.core.windows.net",
            {"account_name": "acc", "endpoint": "http://127.0.0.1:10000/acc"},
        ),
        (
            {"type": "azure_data_lake_gen2", "filesystem": "f", "path": "x/y", **AZURE},
            "abfss://f@acc.dfs.core.windows.net/x/y",
            {"account_name": "acc"},
        ),
        ({"type": "uri", "path": "memory://a/"}, "memory://a", {}),
        (
            {"type": "uri", "path": "s3://b/x", "endpoint": "http://h", "region": "eu"},
            "s3://b/x",
            {"endpoint": "http://h", "region": "eu"},
        ),
    ],
)
def test_datastore__uri_and_options(document: dict[str, Any], uri: str, options: dict[str, str]):
    spec = load_document(DatastoreSpec, {"name": "ds", **document}).spec
    assert spec.get_uri(Path("/base")) == uri
    assert spec.options == options


def test_local__relative_base_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = load_document(DatastoreSpec, {"name": "ds", "type": "local", "path": "a"}).spec
    assert spec.get_uri(Path(".")) == str(tmp_path / "a")
