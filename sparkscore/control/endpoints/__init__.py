"""Endpoints and deployments: the use cases that begin there. Control plane."""
