"""Whether a request that failed can have reached its server. Control plane."""

from __future__ import annotations


def find_connect_failure(error: BaseException) -> str | None:
    """Why no connection was made (refused, no such host, out of time), so that nothing was sent;
    None for any other failure, after which the server may have done what was asked."""
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

    inner = error.args[0] if error.args and isinstance(error.args[0], MaxRetryError) else error
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    if not isinstance(reason, ConnectTimeoutError | NewConnectionError):
        return None
    cause = reason.__cause__
    return str(getattr(cause, "strerror", None) or cause or reason)
