"""Stores behind URIs: s3, abfss, wasbs, gs, https and the rest of fsspec. Any process.

Credentials come from the environment or a named profile, never from a URI or an option. fsspec is
imported inside functions only: a script host without stores needs none of it.
"""

from sparkscore.storage.etags import get_etag, is_same_file
from sparkscore.storage.public_hosts import ONLY_PUBLIC, check_public
from sparkscore.storage.redaction import describe_error, redact
from sparkscore.storage.stores import OPTIONS, child_path, fetch_file, is_web, open_store
from sparkscore.storage.uri import check_uri, get_scheme, is_azure_host, is_below, is_uri, join_uri
from sparkscore.storage.writing import (
    check_writable_store,
    put_new_file,
    remove_below,
    upload_new_folder,
)

__all__ = [
    "ONLY_PUBLIC",
    "OPTIONS",
    "check_public",
    "check_uri",
    "check_writable_store",
    "child_path",
    "describe_error",
    "fetch_file",
    "get_etag",
    "get_scheme",
    "is_azure_host",
    "is_below",
    "is_same_file",
    "is_uri",
    "is_web",
    "join_uri",
    "open_store",
    "put_new_file",
    "redact",
    "remove_below",
    "upload_new_folder",
]
