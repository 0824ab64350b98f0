"""Everything that control can do, as plain JSON below ``/api/v1``. Control plane.

Bodies have the keys of YAML files, answers are what the command line prints.
"""

from __future__ import annotations

PREFIX = "/api/v1"
