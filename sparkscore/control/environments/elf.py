"""Lets a copied program find its shared libraries beside it. Control plane.

A program that was linked with a library path looks for its libraries where it was installed. The
path is replaced in place, as a shorter one always fits.
"""

from __future__ import annotations

import struct
from pathlib import Path

BESIDE = "$ORIGIN/../lib"
"""The folder lib beside the one that holds the program, wherever it is."""

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 5, 15, 29


def make_relocatable(program: Path, *, path: str = BESIDE) -> bool:
    """Point the program's library path to ``path``; False if it has none, or no room for it.

    Only 64-bit little-endian ELF files are looked into.
    """
    content = bytearray(program.read_bytes())
    place = _find_path(content)
    if place is None:
        return False
    end = content.index(0, place)
    text = path.encode()
    if len(text) > end - place:
        return False
    content[place:end] = text.ljust(end - place, b"\0")
    program.write_bytes(content)
    return True


def _find_path(content: bytearray) -> int | None:
    """Where in the file the text of the library path begins."""
    if content[:6] != b"\x7fELF\x02\x01":
        return None
    table, size, count = struct.unpack_from("<Q14xHH", content, 32)
    headers = [struct.unpack_from("<IIQQQQ", content, table + size * n) for n in range(count)]
    dynamic = next((header for header in headers if header[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    entries = dict(struct.iter_unpack("<QQ", content[dynamic[2] : dynamic[2] + dynamic[5]]))
    offset = entries.get(_DT_RUNPATH, entries.get(_DT_RPATH))
    if offset is None:
        return None
    for kind, _, start, address, _, length in headers:
        if kind == _PT_LOAD and address <= entries[_DT_STRTAB] < address + length:
            return int(start + entries[_DT_STRTAB] - address + offset)
    return None
