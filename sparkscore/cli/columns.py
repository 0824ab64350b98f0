"""The columns of tables (``-o table``), by kind of object. Control plane, pure."""

from __future__ import annotations

ENDPOINTS = (
    ("Name", "name"),
    ("Default", "defaults.deployment_name"),
    ("Scoring URI", "scoring_uri"),
    ("Description", "description"),
)
DEPLOYMENTS = (
    ("Name", "name"),
    ("Endpoint", "endpoint_name"),
    ("Default", "is_default"),
    ("Model", "model"),
    ("Compute", "compute"),
    ("Description", "description"),
)
JOBS = (
    ("Name", "name"),
    ("Status", "status"),
    ("Endpoint", "endpoint_name"),
    ("Deployment", "deployment_name"),
    ("Created", "creation_context.created_at"),
)
PRUNED_JOBS = (
    ("Name", "name"),
    ("Status", "status"),
    ("Ended", "end_time"),
    ("Bytes", "freed_bytes"),
    ("Folder", "job_folder"),
)
FAILURE_GROUPS = (
    ("Inputs", "count"),
    ("Condition", "condition"),
    ("Message", "message"),
    ("Script line", "script_line"),
    ("Attempts", "attempts"),
)
ASSETS = (
    ("Name", "name"),
    ("Version", "version"),
    ("Type", "type"),
    ("Path", "path"),
    ("Created", "creation_context.created_at"),
    ("Description", "description"),
)
ENVIRONMENTS = (
    ("Name", "name"),
    ("Version", "version"),
    ("Image", "image"),
    ("Created", "creation_context.created_at"),
    ("Description", "description"),
)
DATASTORES = (
    ("Name", "name"),
    ("Type", "type"),
    ("URI", "uri"),
    ("Default", "is_default"),
    ("Description", "description"),
)
COMPUTES = (
    ("Name", "name"),
    ("Type", "type"),
    ("Min", "min_instances"),
    ("Max", "max_instances"),
    ("Description", "description"),
)
TOKENS = (
    ("Name", "name"),
    ("Role", "role"),
    ("Created", "created_at"),
    ("Expires", "expires_at"),
    ("Expired", "is_expired"),
)
NEW_TOKENS = (*TOKENS, ("Token", "token"))
WORKSPACES = (("Name", "name"), ("Folder", "folder"))
DEFAULTS = (("Name", "name"), ("Value", "value"), ("Source", "source"))
