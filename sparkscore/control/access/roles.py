"""Roles of callers of the server, each with the rights of those before it. Control plane, pure."""

from __future__ import annotations

from enum import Enum

from sparkscore.errors import InvalidFieldError


class Role(str, Enum):
    """``reader`` looks, ``invoker`` starts and cancels jobs, ``contributor`` makes and changes
    endpoints, deployments and assets (also code, which runs), ``owner`` may do everything."""

    READER = "reader"
    INVOKER = "invoker"
    CONTRIBUTOR = "contributor"
    OWNER = "owner"

    def covers(self, needed: Role) -> bool:
        """Whether who has this role may do what ``needed`` may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = list(Role)


def parse_role(text: str) -> Role:
    """The role of this name; raises InvalidFieldError (UNKNOWN_ROLE)."""
    try:
        return Role(text.lower())
    except ValueError:
        raise InvalidFieldError(
            f"role {text!r} is unknown: use {', '.join(role.value for role in Role)}",
            condition="UNKNOWN_ROLE",
            role=text,
        ) from None


def get_highest(roles: list[Role]) -> Role:
    """The role of these that covers the others; there is at least one."""
    return max(roles, key=_ORDER.index)
