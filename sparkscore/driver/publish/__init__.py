"""From staged payloads to the output, all or nothing. Spark driver; only Delta needs Spark."""
