"""A datastore as its user wrote it: where it is, never how to get in. Any process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sparkscore.spec.grammar import SHOWN_KEYS, Conflict, Document, Grammar, TypeKeys
from sparkscore.spec.locations import CREDENTIALS_HINT, credentials_conflict, is_uri
from sparkscore.spec.types import Allowed, AssetName, RequiredText, StringMap, Switch, Text

_DEFAULT_SUFFIX = "core.windows.net"
_PLAIN_PROTOCOLS = ("http", "wasb", "abfs")
_ACCESS = ("profile", "anonymous", "endpoint")
_AZURE = ("account_name", "path", "protocol", *_ACCESS)

DatastoreType = Annotated[
    Literal["local", "azure_blob", "azure_data_lake_gen2", "s3", "gcs", "uri"],
    Allowed(
        "local, azure_blob, azure_data_lake_gen2, s3, gcs or uri",
        hints={
            "azure_file": "file shares are not read: mount the share and use type local with the "
            "path of the mount",
            "azure_data_lake_gen1": "Data Lake Storage Gen1 was retired: use azure_data_lake_gen2",
            "one_lake": "use type uri with path: "
            "abfss://<workspace>@onelake.dfs.fabric.microsoft.com/<item>",
        },
    ),
]
StoreName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9$][A-Za-z0-9._$-]{0,254}$"),
    Allowed("a bare name of letters, digits, '-', '_', '.' and '$'"),
]


class DatastoreSpec(Document):
    """One datastore: a folder, a bucket or container, or any URI."""

    grammar: ClassVar[Grammar] = Grammar(
        kind="datastore",
        ignored=(*SHOWN_KEYS, "uri"),
        refused={"credentials": CREDENTIALS_HINT},
        types={
            "local": TypeKeys(required=("path",)),
            "azure_blob": TypeKeys(required=("account_name", "container_name"), optional=_AZURE),
            "azure_data_lake_gen2": TypeKeys(
                required=("account_name", "filesystem"), optional=_AZURE
            ),
            "s3": TypeKeys(required=("bucket",), optional=("path", "region", *_ACCESS)),
            "gcs": TypeKeys(required=("bucket",), optional=("path", *_ACCESS)),
            "uri": TypeKeys(required=("path",), optional=("region", *_ACCESS)),
        },
    )

    name: AssetName = Field(description="Name of the datastore.")
    type: DatastoreType = Field(
        description="local (a folder), azure_blob, azure_data_lake_gen2, s3, gcs, or uri (any "
        "other that fsspec knows)."
    )
    description: Text | None = Field(default=None, description="What it holds, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
    path: RequiredText | None = Field(
        default=None,
        description="local: the folder, relative to this file. uri: the URI. Others: a folder "
        "within the store, if not all of it.",
    )
    account_name: StoreName | None = Field(default=None, description="Azure: storage account.")
    container_name: StoreName | None = Field(default=None, description="azure_blob: container.")
    filesystem: StoreName | None = Field(
        default=None, description="azure_data_lake_gen2: file system."
    )
    bucket: StoreName | None = Field(default=None, description="s3 and gcs: bucket.")
    protocol: (
        Annotated[
            Literal["https", "http", "wasbs", "wasb", "abfss", "abfs"],
            Allowed("https, http, wasbs, wasb, abfss or abfs"),
        ]
        | None
    ) = Field(default=None, description="Azure: https, or one that says the same. Encrypted.")
    endpoint: RequiredText | None = Field(
        default=None,
        description="URL of the service if it is not the usual one. Azure: also the end of its "
        "host name, such as core.windows.net.",
    )
    region: RequiredText | None = Field(default=None, description="s3: region of the bucket.")
    profile: RequiredText | None = Field(
        default=None, description="Named profile whose credentials are used, where jobs run."
    )
    anonymous: Switch = Field(
        default=False, description="Whether the store is read without credentials."
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from credentials_conflict(("path",), self.path)
        yield from credentials_conflict(("endpoint",), self.endpoint)
        if self.path is None:
            return
        if self.type == "uri" and not is_uri(self.path):
            yield Conflict(("path",), "must be a URI such as s3://bucket/folder with type: uri")
        elif self.type != "uri" and is_uri(self.path):
            yield Conflict(("path",), "must be a folder, not a URI: use type: uri for a URI")
        elif self.type not in ("uri", "local") and ".." in self.path.split("/"):
            yield Conflict(("path",), "must not leave the store: remove '..'")
        if self.profile is not None and self.anonymous:
            yield Conflict(("profile",), "cannot be given with anonymous: true: remove one")

    def get_uri(self, base: Path) -> str:
        """The URI of the datastore's root; for type local an absolute path, from ``base`` on."""
        path = self.path or ""
        if self.type == "local":
            return os.path.normpath(base.absolute() / path)
        if self.type == "uri":
            return path.rstrip("/")
        below = "/".join(part for part in path.split("/") if part not in ("", "."))
        return f"{self._root}/{below}".rstrip("/")

    @property
    def _root(self) -> str:
        if self.type == "s3":
            return f"s3://{self.bucket}"
        if self.type == "gcs":
            return f"gs://{self.bucket}"
        secure = "" if self.protocol in _PLAIN_PROTOCOLS else "s"
        suffix = self.endpoint or _DEFAULT_SUFFIX
        suffix = _DEFAULT_SUFFIX if is_uri(suffix) else suffix
        if self.type == "azure_blob":
            return f"wasb{secure}://{self.container_name}@{self.account_name}.blob.{suffix}"
        return f"abfs{secure}://{self.filesystem}@{self.account_name}.dfs.{suffix}"

    @property
    def options(self) -> dict[str, str]:
        """How the URI is opened: profile, endpoint, anonymous, account_name, region; no secrets."""
        is_suffix = self.account_name is not None and not is_uri(self.endpoint or "")
        written = {
            "account_name": self.account_name,
            "profile": self.profile,
            "endpoint": None if is_suffix else self.endpoint,
            "region": self.region,
            "anonymous": "true" if self.anonymous else None,
        }
        return {name: value for name, value in written.items() if value is not None}
