"""Maps and lists as people type them into one box, and back. Control plane, pure.

A map is one ``NAME=VALUE`` a line; a list has commas, or a line for each. What does not fit is
written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

ALL = "all"


def render_pairs(pairs: Mapping[str, object]) -> str:
    """One line for each; ``read_pairs`` gives the same map."""
    return "\n".join(f"{_quote(name, '=')}={_quote(str(text))}" for name, text in pairs.items())


def read_pairs(text: str) -> dict[str, str]:
    """The map that lines of ``NAME=VALUE`` say. Raises ValueError with what is wrong."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        line = line.strip()
        if not line:
            continue
        name, rest = _read_name(line)
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        found[name] = _read_value(rest)
    return found


def render_names(names: str | Sequence[str]) -> str:
    """Names with commas between, or ``all``; ``read_names`` gives the same."""
    if isinstance(names, str):
        return names
    is_plain = all(name and _is_plain(name, ",[") for name in names) and list(names) != [ALL]
    return ", ".join(names) if is_plain else json.dumps(list(names), ensure_ascii=False)


def read_names(text: str) -> str | list[str]:
    """``all``, or the names between commas. Raises ValueError."""
    text = text.strip()
    if text == ALL:
        return ALL
    if not text.startswith("["):
        return [name.strip() for name in text.split(",") if name.strip()]
    names = json.loads(text)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("it takes names")
    return list(names)


def render_lines(texts: Sequence[str]) -> str:
    """One line for each; ``read_lines`` gives the same."""
    return "\n".join(_quote(text) if text else '""' for text in texts)


def read_lines(text: str) -> list[str]:
    """The texts that lines say; empty lines say nothing."""
    return [_read_value(line.strip()) for line in text.split("\n") if line.strip()]


def _is_plain(text: str, refused: str) -> bool:
    is_line = text == text.strip() and text.isprintable()
    return is_line and not any(letter in text for letter in f'"{refused}')


def _quote(text: str, refused: str = "") -> str:
    is_plain = _is_plain(text, refused) and (text or not refused)
    return text if is_plain else json.dumps(text)


def _read_name(line: str) -> tuple[str, str]:
    if line.startswith('"'):
        name, end = json.JSONDecoder().raw_decode(line)
        rest = line[end:].lstrip()
        if rest.startswith("="):
            return str(name), rest[1:].strip()
    elif "=" in line and not line.startswith("="):
        name, _, value = line.partition("=")
        return name.strip(), value.strip()
    raise ValueError(f"{line!r} is no NAME=VALUE")


def _read_value(text: str) -> str:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            return str(json.loads(text))
        except ValueError:
            pass
    return text
