"""Lists in pages: ``$top``, ``$skip``, ``$orderBy`` and ``nextLink``. Control plane, pure.

``$skip`` is a number of items, or the text that a ``nextLink`` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.datastructures import URL

from sparkscore.errors import InvalidFieldError
from sparkscore.rest.fields import fold, to_snake

DEFAULT_TOP = 1000
_AFTER = "after:"

_TOP_TEXT = "At most so many items in one answer."
_SKIP_TEXT = "How many items to leave out, or the text that a nextLink holds."
_ORDER_TEXT = "name or createdAt, with asc or desc after it."


async def read_paging(
    request: Request,
    top: Annotated[
        int, Query(alias="$top", ge=1, le=DEFAULT_TOP, description=_TOP_TEXT)
    ] = DEFAULT_TOP,
    skip: Annotated[str, Query(alias="$skip", max_length=300, description=_SKIP_TEXT)] = "0",
    order_by: Annotated[
        str | None, Query(alias="$orderBy", max_length=100, description=_ORDER_TEXT)
    ] = None,
) -> Paging:
    """What a request asks for: a dependency of handlers."""
    # The path as the client wrote it: resources are routed under one prefix, whatever that was.
    url = request.url.replace(path=request.scope["raw_path"].decode("ascii", "replace"))
    return Paging(str(url), top, skip, order_by)


@dataclass(frozen=True)
class Paging:
    """A page to cut from a list; ``url`` is that of the request."""

    url: str
    top: int
    skip: str
    order_by: str | None

    @property
    def offset(self) -> int:
        """How many items to leave out. Raises InvalidFieldError."""
        if not (self.skip.isascii() and self.skip.isdigit() and len(self.skip) < 12):
            raise InvalidFieldError(
                f"$skip is {self.skip!r}: give a number, or what nextLink says",
                key="$skip",
                value=self.skip,
            )
        return int(self.skip)

    @property
    def after(self) -> str | None:
        """The name of the last item of the page before, from a ``nextLink``."""
        return self.skip.removeprefix(_AFTER) if self.skip.startswith(_AFTER) else None

    def cut(self, items: Sequence[Any], render: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """One page of a whole list, in the order that was asked for."""
        ordered = self._sort(items)
        page = ordered[self.offset : self.offset + self.top]
        found: dict[str, Any] = {"value": [render(item) for item in page]}
        if self.offset + self.top < len(ordered):
            found["nextLink"] = self._link(str(self.offset + self.top))
        return found

    def cut_lazily(
        self, read: Callable[[int, int], Sequence[Any]], render: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """One page of a list too long to make whole.

        ``read`` gives the items after so many, at most so many, in the one order that they have.
        """
        if self.order_by:
            raise _unknown_order(self.order_by, "this list has one order")
        found = read(self.offset, self.top + 1)
        answer: dict[str, Any] = {"value": [render(item) for item in found[: self.top]]}
        if len(found) > self.top:
            answer["nextLink"] = self._link(str(self.offset + self.top))
        return answer

    def cut_jobs(
        self, jobs: Callable[..., Any], render: Callable[[Any], dict[str, Any]], **wanted: Any
    ) -> dict[str, Any]:
        """One page of jobs, the newest first, read no further than it must be.

        ``jobs`` is the workspace's ``jobs.list``, or that of an endpoint.
        """
        self._check_order_of_jobs()
        offset = 0 if self.after is not None else self.offset
        found = jobs(before=self.after, max_results=offset + self.top + 1, **wanted)[offset:]
        page = found[: self.top]
        answer: dict[str, Any] = {"value": [render(job) for job in page]}
        if len(found) > self.top:
            answer["nextLink"] = self._link(f"{_AFTER}{page[-1].name}")
        return answer

    def _link(self, skip: str) -> str:
        url = URL(self.url).include_query_params(**{"$skip": skip, "$top": self.top})
        return str(url)

    def _read_order(self) -> tuple[str, bool] | None:
        """The field and whether the highest comes first."""
        if not self.order_by:
            return None
        field, _, direction = self.order_by.strip().partition(" ")
        field, direction = to_snake(field.rpartition("/")[2]), fold(direction.strip())
        if field not in ("name", "created_at", "created_time") or direction not in (
            *("", "asc", "desc"),
        ):
            raise _unknown_order(self.order_by, _ORDER_TEXT)
        return ("name" if field == "name" else "created_at"), direction == "desc"

    def _sort(self, items: Sequence[Any]) -> list[Any]:
        order = self._read_order()
        if order is None:
            return list(items)
        field, is_reversed = order
        return sorted(items, key=lambda item: _get_key(item, field), reverse=is_reversed)

    def _check_order_of_jobs(self) -> None:
        order = self._read_order()
        if order is not None and order != ("created_at", True):
            raise _unknown_order(str(self.order_by), "jobs come as createdAt desc, nothing else")


def _get_key(item: Any, field: str) -> Any:
    shown = item.to_dict()
    if field == "name":
        return shown["name"].lower()
    return (shown.get("creation_context") or {}).get("created_at") or ""


def _unknown_order(given: str, allowed: str) -> InvalidFieldError:
    return InvalidFieldError(
        f"$orderBy is {given!r}: {allowed}",
        condition="UNKNOWN_ORDER",
        key="$orderBy",
        value=given,
    )
