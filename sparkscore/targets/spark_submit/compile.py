"""A job for spark-submit: a standalone cluster, YARN or Kubernetes. Control plane, pure."""

from __future__ import annotations

from sparkscore.plan.spark_application import SparkApplication
from sparkscore.targets.base import CompiledApplication
from sparkscore.targets.spark_submit.script import get_gpu_files, render_submit_script

NAME = "spark-submit"
MASTER = "spark://HOST:PORT"
"""Stands for the master that is named when a compiled job is submitted."""
ENTRY_FILE = "score.py"

ENTRY_POINT = '''\
"""The file handed to Spark: ``spark-submit jobs/score.py DIR/launch.json``. Spark driver."""

import importlib.util
import os.path
import sys


def add_packages() -> None:
    """Use the sparkscore.zip beside this file or the launch message if none is installed."""
    if importlib.util.find_spec("sparkscore") is not None:
        return
    # A notebook platform runs this file without a __file__.
    for file in (globals().get("__file__", ""), *sys.argv[1:2]):
        if ":/" in file:
            add_from_store(file)
            return
        packages = os.path.join(os.path.dirname(os.path.realpath(file)), "sparkscore.zip")
        if os.path.isfile(packages):
            sys.path.insert(0, packages)
            return


def add_from_store(file: str) -> None:
    """Let Spark fetch the sparkscore.zip beside a file in a store that Hadoop can read."""
    from pyspark import SparkContext

    SparkContext.getOrCreate().addPyFile(file.rpartition("/")[0] + "/sparkscore.zip")


if __name__ == "__main__":
    add_packages()
    from sparkscore.driver.main import main

    # A notebook platform that runs this file takes any SystemExit for a failure.
    code = main(sys.argv[1:])
    if code:
        sys.exit(code)
'''
"""The text of jobs/score.py, which stands outside of the installed package."""


def compile_application(application: SparkApplication) -> CompiledApplication:
    """The arguments of spark-submit, and a script for the folder of the launch message."""
    conf = [f"{name}={value}" for name, value in sorted(application.conf.items())]
    arguments = ["--master", application.master]
    for setting in conf:
        arguments += ["--conf", setting]
    arguments += ["--py-files", ",".join(application.py_files), application.entry_point]
    is_named = application.master != MASTER
    script = render_submit_script(
        application, default_master=application.master if is_named else None
    )
    return CompiledApplication(
        target=NAME,
        arguments=(*arguments, *application.arguments),
        files={ENTRY_FILE: ENTRY_POINT, "submit.sh": script, **get_gpu_files(application)},
        packages=True,
    )
