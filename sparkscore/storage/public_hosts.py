"""Keeps web requests that somebody else asks for on the public internet. Any process.

A name is looked at when it is named, and each address again when it is connected to: names may
change in between, and servers may redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from sparkscore.errors import PlanError

ONLY_PUBLIC = "only_public"
"""A store's option: hosts that need not be public, with commas. Without it any host goes."""


def check_public(host: str, allowed: Iterable[str], *, uri: str) -> None:
    """Refuses a host that is not public.

    Raises PlanError (HOST_NOT_ALLOWED) for one with a loopback, private, link-local or otherwise
    reserved address, or with none, unless ``allowed`` has its name, address or network.
    """
    given = tuple(allowed)
    if host.lower() in (name.lower() for name in given):
        return
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise PlanError(
            f"{uri}: the host {host!r} cannot be found: {error}",
            condition="HOST_NOT_ALLOWED",
            uri=uri,
            host=host,
        ) from error
    if not all(is_allowed_address(str(place[4][0]), given) for place in found):
        raise PlanError(
            f"{uri}: the host {host!r} is not on the public internet; put it under allowed_hosts "
            "in [server] of sparkscore.toml if it may be asked",
            condition="HOST_NOT_ALLOWED",
            uri=uri,
            host=host,
        )


def is_allowed_address(text: str, allowed: Iterable[str]) -> bool:
    """Whether this is an address of the public internet, or one that is allowed by name."""
    address = _parse(text)
    if address is None:
        return False
    return _is_public(address) or any(_covers(network, address) for network in allowed)


def _parse(text: str) -> Any:
    """The address; that of IPv4 where IPv6 only wraps it. None for what is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or _find_nat64(address) or address
    return address


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _find_nat64(address: ipaddress.IPv6Address) -> Any:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _is_public(address: Any) -> bool:
    return bool(address.is_global) and not address.is_multicast


def _covers(network: str, address: Any) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def make_client_maker(allowed: str) -> Any:
    """What makes fsspec's HTTP client: one that connects to public addresses only."""
    given = tuple(host for host in allowed.split(",") if host)

    async def get_client(**arguments: Any) -> Any:
        import aiohttp

        connector = make_connector(given)
        return aiohttp.ClientSession(**{**arguments, "connector": connector})

    return get_client


def make_connector(allowed: Iterable[str]) -> Any:
    """aiohttp's connector; each address is checked at the moment it is connected to."""
    import aiohttp

    names = frozenset(name.lower() for name in allowed)
    networks = tuple(allowed)

    class PublicConnector(aiohttp.TCPConnector):
        async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
            found = await super()._resolve_host(host, port, traces=traces)
            refused = [
                place["host"] for place in found if not is_allowed_address(place["host"], networks)
            ]
            if refused and host.lower() not in names:
                raise OSError(f"{host} ({refused[0]}) is not on the public internet")
            return found

    return PublicConnector()
