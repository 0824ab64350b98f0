"""What a browser would send of a form in a page, without a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser


@dataclass
class Fields(HTMLParser):
    """Reads the one form whose class is ``name``."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    action: str = ""
    _is_inside: bool = False
    _select: str = ""
    _area: str = ""
    _has_choice: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("class") == self.name
            self.action = given["action"] if self._is_inside else self.action
        if not self._is_inside or given.get("form"):
            return
        if tag == "input" and "name" in given:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self.values[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select, self._has_choice = given.get("name", ""), False
        elif tag == "option" and self._select:
            if "selected" in given or not self._has_choice:
                self.values[self._select] = given.get("value", "")
            self._has_choice = True
        elif tag == "textarea":
            self._area = given.get("name", "")
            self.values[self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._area:
            # The first line end belongs to the tag.
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = ""


def read_fields(page: str, name: str = "wizard") -> dict[str, str]:
    """The fields of a form that was not touched, by name; lines end as browsers send them."""
    found = Fields(name)
    found.feed(page.replace("\r\n", "\n"))
    assert found.action, f"the page has no form {name}"
    return {name: text.replace("\n", "\r\n") for name, text in found.values.items()}


def find_errors(page: str) -> dict[str, str]:
    """The words beside each field that has some."""
    found = re.findall(r'<p class="why" id="([^"]+)-why"[^>]*>([^<]+)</p>', page)
    return {name: unescape(text) for name, text in found}
