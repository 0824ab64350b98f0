"""How one server is to run: what the command line says, checked. Control plane."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sparkscore.control.access.settings import ServerSettings
from sparkscore.errors import InputNotFoundError, UsageError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8600


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """``no_auth``: everybody on this machine may do everything. ``tls_cert`` and ``tls_key`` are
    PEM files. ``settings`` are those of ``[server]``."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    no_auth: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    settings: ServerSettings = field(default_factory=ServerSettings)

    @property
    def scheme(self) -> str:
        """``https`` with a certificate, else ``http``."""
        return "http" if self.tls_cert is None else "https"

    def check(self) -> None:
        """Raise UsageError (INSECURE_ADDRESS, TLS_INCOMPLETE) or InputNotFoundError."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError(
                "--tls-cert and --tls-key go together: give both", condition="TLS_INCOMPLETE"
            )
        for file in (self.tls_cert, self.tls_key):
            if file is not None and not file.is_file():
                raise InputNotFoundError(
                    f"{file} does not exist: give a PEM file",
                    condition="TLS_FILE_NOT_FOUND",
                    path=str(file),
                )
        if is_loopback(self.host):
            return
        if self.no_auth:
            raise self._refuse("--no-auth is for this machine only: leave --host away")
        if self.tls_cert is None and not self.settings.trusted_proxy:
            raise self._refuse(
                "tokens would cross the network in the clear: give --tls-cert and --tls-key, or "
                "set trusted_proxy in [server] of sparkscore.toml to the proxy that speaks TLS"
            )

    def _refuse(self, reason: str) -> UsageError:
        return UsageError(
            f"--host {self.host}: {reason}", condition="INSECURE_ADDRESS", host=self.host
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
