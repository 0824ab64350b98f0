"""The command line: parse, call ``sparkscore.control``, render. Control plane."""
