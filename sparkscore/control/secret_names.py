"""Keeps secrets out of compiled folders, which are copied and checked in. Control plane, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sparkscore.control.deployment import PreparedDeployment
from sparkscore.errors import InvalidFieldError

_SECRET_PROPERTY = re.compile(r"secret|password|token|(access|account)[._]?key", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"(^|_)(SECRET|PASSWORD|TOKEN|CREDENTIALS?|CONNECTION_STRING|(API|ACCESS|ACCOUNT)_?KEY)(_|$)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"true|false|\d+\w{0,2}|", re.IGNORECASE)
_REFERENCES = ("${", "{{")
"""How Hadoop and Databricks write a value that is looked up where the job runs."""


def refuse_secrets(conf: Mapping[str, str]) -> None:
    """Raise InvalidFieldError (SECRET_IN_CONF) for a Spark property that holds a secret.

    Its name tells, as it does to Spark. A reference (``${env.NAME}``, ``{{secrets/...}}``) is none.
    """
    for key, value in sorted(conf.items()):
        if _SECRET_PROPERTY.search(key) and _is_open(value):
            raise InvalidFieldError(
                f"spark_conf {key} looks like a secret, and compiled files hold none: give it "
                "where the job is submitted, or refer to a variable there: ${env.NAME}",
                condition="SECRET_IN_CONF",
                key=key,
            )


def find_open_variables(deployment: PreparedDeployment) -> Iterator[str]:
    """A warning for each variable of the script that looks like a secret, by its name."""
    for name, value in sorted(deployment.spec.settings.environment_variables.items()):
        if _SECRET_VARIABLE.search(name) and _is_open(value):
            yield (
                f"warning: environment variable {name} stands in launch.json as it was written: "
                "let the platform set it if it is a secret"
            )


def _is_open(value: str) -> bool:
    is_reference = any(mark in value for mark in _REFERENCES)
    return not is_reference and _NO_SECRET.fullmatch(value.strip()) is None
