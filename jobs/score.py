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
