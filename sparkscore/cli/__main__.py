"""``python -m sparkscore.cli``. Control plane."""

from sparkscore.cli.main import main

main()
