"""A job for a driver on this machine with Spark in local mode. Control plane, pure."""

from __future__ import annotations

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import CompiledApplication

NAME = "local"

_SUBMIT_SCRIPT = """\
#!/bin/sh
# Scores with Spark in local mode. Needs Java 17 or later, and a Python with sparkscore.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
exec "${PYTHON:-python3}" -m sparkscore.driver "$folder/launch.json"
"""


def compile_application(application: SparkApplication) -> CompiledApplication:
    """The driver's module and launch message; conf reaches the session through the driver."""
    return CompiledApplication(
        target=NAME,
        arguments=("-m", "sparkscore.driver", *application.arguments),
        files={"submit.sh": _SUBMIT_SCRIPT},
    )
