"""What a job's input consists of: files with size and etag, in path order. Any process, no Spark.

The driver lists for a job, the CLI for ``--plan``; the control plane only checks before it submits.
"""

from sparkscore.listing.fetch import fetch_tree
from sparkscore.listing.inputs import Listing, check_input, find_input_folder, list_inputs

__all__ = ["Listing", "check_input", "fetch_tree", "find_input_folder", "list_inputs"]
