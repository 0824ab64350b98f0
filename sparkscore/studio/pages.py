"""Renders pages from templates. Control plane.

Every value is escaped where it is written (Jinja2's autoescape); no template may switch that off.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sparkscore
from sparkscore.control.access.roles import Role
from sparkscore.studio.sessions import Session

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

NOTHING = "\N{EN DASH}"
"""What stands where there is no value."""

_UNITS = ("B", "KB", "MB", "GB", "TB")
_DAY_SECONDS = 86_400.0


def make_environment() -> jinja2.Environment:
    """The templates with their filters; a name that is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        segment=render_segment,
        count=render_count,
        bytes=render_bytes,
        duration=render_duration,
        ago=render_ago,
        moment=render_moment,
        pretty=render_pretty,
        pair=make_pair,
    )
    environment.globals.update(version=sparkscore.__version__, Role=Role)
    return environment


@cache
def _get_environment() -> jinja2.Environment:
    return make_environment()


def render_page(
    request: Request, template: str, /, *, status: int = 200, **values: Any
) -> Response:
    """A whole page, or the part of one that a template of its own holds.

    Templates know ``base`` (the address of Studio), ``path``, ``workspace_name``, ``session``
    (None on the login page), ``person`` and ``can(role name)`` besides ``values``.
    """
    session: Session | None = getattr(request.state, "session", None)
    context = {
        "base": request.scope.get("root_path", ""),
        "path": request.scope["path"].removeprefix(request.scope.get("root_path", "")),
        "workspace_name": request.app.state.workspace.name,
        "session": session,
        "person": None if session is None else session.principal,
        "upload_limits": _get_upload_limits(request),
        "can": lambda role: session is not None and session.principal.role.covers(Role(role)),
        **values,
    }
    text = _get_environment().get_template(template).render(context)
    # Names of files may hold what is no Unicode.
    content = text.encode("utf-8", errors="replace")
    return HTMLResponse(content, status_code=status, headers={"Cache-Control": "no-store"})


def _get_upload_limits(request: Request) -> dict[str, int]:
    settings = request.app.state.config.settings
    return {"bytes": settings.max_upload_bytes, "files": settings.max_upload_files}


def render_macro(template: str, macro: str, /, **values: Any) -> str:
    """What one macro of a template makes of ``values``."""
    module = _get_environment().get_template(template).module
    return str(getattr(module, macro)(**values))


def redirect(request: Request, path: str) -> Response:
    """Send the browser to another page of Studio; htmx too, which would swap it in otherwise."""
    place = f"{request.scope.get('root_path', '')}{path}"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": place})
    return RedirectResponse(place, status_code=303)


def render_segment(text: object) -> str:
    """Text as one segment of an address."""
    return quote(str(text), safe="")


def render_count(number: float | None) -> str:
    """A whole number with commas, a dash for None."""
    return NOTHING if number is None else f"{number:,.0f}"


def render_bytes(count: float | None) -> str:
    """A size in units of 1000."""
    if count is None:
        return NOTHING
    for unit in _UNITS:
        if abs(count) < 1000 or unit == _UNITS[-1]:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError


def render_duration(seconds: float | None) -> str:
    """Such as ``420 ms``, ``3.2 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def render_ago(at: float | None) -> str:
    """A time, in seconds since the epoch, as people say it."""
    if at is None:
        return NOTHING
    seconds = max(0.0, time.time() - at)
    if seconds < 60:
        return "just now"
    for size, name in ((_DAY_SECONDS, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError


def render_moment(at: float | None) -> str:
    """A time, in seconds since the epoch, as date and time of UTC."""
    if at is None:
        return NOTHING
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def render_pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)


def make_pair(text: str) -> tuple[str, str]:
    """An option whose value is what is shown."""
    return text, text
