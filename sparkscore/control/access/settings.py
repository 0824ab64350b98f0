"""What ``[server]`` in ``sparkscore.toml`` says besides the URL. Control plane, pure."""

from __future__ import annotations

from dataclasses import dataclass, field

SERVER_KEYS = (
    *("url", "allowed_hosts", "trusted_proxy", "requests_per_minute"),
    *("max_body_bytes", "max_upload_bytes", "max_upload_files"),
    *("oidc_issuer", "oidc_audience", "oidc_role_claim", "oidc_roles"),
    *("oidc_client_id", "oidc_scope"),
)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How the server treats its callers.

    ``allowed_hosts`` are names, addresses and networks (``10.0.0.0/8``) that inputs may come from
    although they are not public. ``trusted_proxy`` is the address of a proxy that speaks TLS and
    whose X-Forwarded headers count, empty for none. ``oidc_roles`` maps values of the claim
    ``oidc_role_claim`` to roles; no ``oidc_issuer``: no JWT is taken. ``oidc_client_id`` is what
    the issuer knows Studio as; with it people can log in there.
    """

    allowed_hosts: tuple[str, ...] = ()
    trusted_proxy: str = ""
    requests_per_minute: int = 6000
    max_body_bytes: int = 4 * 1024**2
    max_upload_bytes: int = 10 * 1024**3
    max_upload_files: int = 100_000
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_role_claim: str = "roles"
    oidc_roles: dict[str, str] = field(default_factory=dict)
    oidc_client_id: str = ""
    oidc_scope: str = "openid profile"
