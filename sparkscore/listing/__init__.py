"""What a job's input consists of: files with size and etag, in path order. Any process, no Spark.

The driver lists for a job, the CLI for ``--plan``; the control plane only checks before it submits.
Names are imported on first use: they need pyarrow, which takes long, and ``location`` does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.listing.fetch import fetch_tree as fetch_tree
    from sparkscore.listing.inputs import Listing as Listing
    from sparkscore.listing.inputs import check_input as check_input
    from sparkscore.listing.inputs import find_input_folder as find_input_folder
    from sparkscore.listing.inputs import list_inputs as list_inputs
    from sparkscore.listing.named import list_named as list_named

_HOMES = {
    "Listing": "inputs",
    "check_input": "inputs",
    "fetch_tree": "fetch",
    "find_input_folder": "inputs",
    "list_inputs": "inputs",
    "list_named": "named",
}

__all__ = [
    "Listing",
    "check_input",
    "fetch_tree",
    "find_input_folder",
    "list_inputs",
    "list_named",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
