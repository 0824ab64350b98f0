"""Python environments of deployments: read, built, packed, kept. Control plane."""
