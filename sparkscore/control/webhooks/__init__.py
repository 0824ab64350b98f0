"""Tells other programs of a job's end, by signed HTTP requests. Control plane."""
