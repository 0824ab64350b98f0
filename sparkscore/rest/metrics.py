"""What the server counts, as text for Prometheus. Control plane."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of durations, in seconds."""


class Metrics:
    """Counts of one process; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * len(BUCKETS))
        self._seconds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def add(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is the declared path, so that there are few of them."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._counts[route] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]
            for index, bound in enumerate(BUCKETS):
                self._buckets[route][index] += seconds <= bound

    def render(self, job_counts: Mapping[str, int]) -> str:
        """All metrics; ``job_counts`` are jobs of the workspace by status."""
        with self._lock:
            lines = [*self._iter_requests(), *self._iter_durations()]
        lines += _head("sparkscore_jobs", "gauge", "Jobs of the workspace by status.")
        lines += [
            f"sparkscore_jobs{_labels(status=status)} {count}"
            for status, count in sorted(job_counts.items())
        ]
        return "\n".join([*lines, ""])

    def _iter_requests(self) -> Iterable[str]:
        name = "sparkscore_http_requests_total"
        yield from _head(name, "counter", "Requests by method, route and status.")
        for (method, route, status), count in sorted(self._requests.items()):
            yield f"{name}{_labels(method=method, route=route, status=str(status))} {count}"

    def _iter_durations(self) -> Iterable[str]:
        name = "sparkscore_http_request_seconds"
        yield from _head(name, "histogram", "Time until the response was sent, by route.")
        for route in sorted(self._counts):
            for bound, count in zip(BUCKETS, self._buckets[route], strict=True):
                yield f"{name}_bucket{_labels(route=route, le=str(bound))} {count}"
            yield f"{name}_bucket{_labels(route=route, le='+Inf')} {self._counts[route]}"
            yield f"{name}_sum{_labels(route=route)} {self._seconds[route]:.6f}"
            yield f"{name}_count{_labels(route=route)} {self._counts[route]}"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _labels(**labels: str) -> str:
    pairs = (f'{name}="{_escape(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
