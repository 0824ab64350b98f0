"""Scores mini-batches on Spark executors. Python worker, its guard, and the script host.

Standard library, pandas and pyarrow only; nothing else of sparkscore but ``messages`` and
``errors``. The package travels to executors and into script hosts with another Python.
"""
