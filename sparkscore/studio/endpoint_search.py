"""Finds endpoints by what people remember of them. Control plane, pure."""

from __future__ import annotations

from collections.abc import Iterable

from sparkscore.control.endpoints.summaries import EndpointSummary


def filter_endpoints(summaries: Iterable[EndpointSummary], query: str) -> list[EndpointSummary]:
    """Those in which every word stands: in the name, the description or a ``name=value`` tag.

    In any case; without words all of them.
    """
    words = query.lower().split()
    return [one for one in summaries if all(word in _describe(one) for word in words)]


def _describe(summary: EndpointSummary) -> str:
    record = summary.endpoint.record
    tags = (f"{name}={value}" for name, value in record.tags.items())
    return "\n".join([record.name, record.description or "", *tags]).lower()
