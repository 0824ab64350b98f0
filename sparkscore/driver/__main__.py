"""``python -m sparkscore.driver launch.json``. Spark driver process."""

import sys

from sparkscore.driver.main import main

sys.exit(main())
