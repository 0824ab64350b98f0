"""Places to run: compile a Spark application for one, submit it there. Control plane."""
