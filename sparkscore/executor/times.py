"""Text as times, whichever pyarrow reads it. Python worker process.

pyarrow 14 takes a time that nanoseconds cannot hold (before 1677, after 2262) for another one.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def parse_times(text: Any, kind: Any) -> Any:
    """Text with or without a zone as a timestamp without; raises ArrowInvalid if one is none."""
    try:
        times = text.cast(kind)
    except pa.ArrowInvalid:
        times = text.cast(pa.timestamp(kind.unit, "UTC")).cast(kind)
    if WRAPS_TIMES:
        years = pc.utf8_slice_codeunits(text, 0, 4).cast(pa.int64())
        # A zone may move a time to the next year; what wraps is moved by centuries.
        if pc.any(pc.greater(pc.abs(pc.subtract(pc.year(times), years)), 1)).as_py():
            raise pa.ArrowInvalid(f"a time is out of the range of {kind}")
    return times


def _wraps_times() -> bool:
    try:
        pa.array(["2500-01-01"]).cast(pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return False
    return True


WRAPS_TIMES = _wraps_times()
