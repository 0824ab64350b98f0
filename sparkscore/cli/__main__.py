"""``python -m sparkscore.cli``. Control plane."""

import sys

from sparkscore.cli.main import main

sys.exit(main())
