"""A job for spark-submit and a standalone cluster. Control plane, pure."""

from __future__ import annotations

import shlex

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import CompiledApplication

NAME = "spark-submit"
ENTRY_FILE = "score.py"

ENTRY_POINT = '''\
"""The file handed to spark-submit: ``spark-submit jobs/score.py DIR/launch.json``. Spark driver."""

import importlib.util
import sys
from pathlib import Path


def add_packages() -> None:
    """Use the sparkscore.zip beside this file or the launch message if none is installed."""
    if importlib.util.find_spec("sparkscore") is not None:
        return
    for file in (__file__, *sys.argv[1:2]):
        packages = Path(file).resolve().parent / "sparkscore.zip"
        if packages.is_file():
            sys.path.insert(0, str(packages))
            return


if __name__ == "__main__":
    add_packages()
    from sparkscore.driver.main import main

    sys.exit(main(sys.argv[1:]))
'''
"""The text of jobs/score.py, which stands outside of the installed package."""

_SUBMIT_SCRIPT = """\
#!/bin/sh
# Usage: submit.sh spark://HOST:PORT
# Driver and workers must see this folder, the input, the job folder and the output.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
exec "${{SPARK_SUBMIT:-spark-submit}}" --master "${{1:?usage: submit.sh spark://HOST:PORT}}" \\
{conf}  --py-files "$folder/sparkscore.zip" \\
  "$folder/score.py" "$folder/launch.json"
"""


def compile_application(application: SparkApplication) -> CompiledApplication:
    """The arguments of spark-submit, and a script for the folder of the launch message."""
    conf = [f"{name}={value}" for name, value in sorted(application.conf.items())]
    arguments = ["--master", application.master]
    for setting in conf:
        arguments += ["--conf", setting]
    arguments += ["--py-files", ",".join(application.py_files), application.entry_point]
    return CompiledApplication(
        target=NAME,
        arguments=(*arguments, *application.arguments),
        files={ENTRY_FILE: ENTRY_POINT, "submit.sh": _render_submit_script(conf)},
        packages=True,
    )


def _render_submit_script(conf: list[str]) -> str:
    lines = "".join(f"  --conf {shlex.quote(setting)} \\\n" for setting in conf)
    return _SUBMIT_SCRIPT.format(conf=lines)
