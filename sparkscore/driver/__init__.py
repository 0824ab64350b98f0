"""Runs scoring jobs on Spark; the only package that imports pyspark. Spark driver process."""

from sparkscore.driver.job_run import run

__all__ = ["run"]
