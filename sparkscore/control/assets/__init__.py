"""Models, environments, data, code, datastores and computes of a workspace. Control plane."""
