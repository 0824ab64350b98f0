"""The HTTP interface to a workspace: parses requests, calls ``control``, renders. Control plane."""
