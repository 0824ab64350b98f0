"""sparkscore: batch endpoints and batch deployments on Apache Spark. Any process."""

__version__ = "0.1.0"
