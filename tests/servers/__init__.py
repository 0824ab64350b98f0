"""Real protocol servers that tests start: S3, Azure Blob, GCS, HTTP, PostgreSQL."""
