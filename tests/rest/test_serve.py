"""``sparkscore serve`` as a process: addresses, TLS, proxies, tokens, the end."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sparkscore.control.workspace import Workspace
from sparkscore.errors import MissingDependencyError, UsageError
from tests.rest.processes import START, run_cli, serving_process
from tests.rest.serving import Client


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    Workspace.open(folder).close()
    return folder


def set_server(workspace: Path, *lines: str) -> None:
    file = workspace / "sparkscore.toml"
    file.write_text(file.read_text() + "\n".join(lines) + "\n")


def read_audit(workspace: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (workspace / "audit.jsonl").read_text().splitlines()]


def test_serve__answers_and_stops_on_sigterm(workspace: Path) -> None:
    with serving_process(workspace) as served:
        client = Client(served.url)
        assert client.get("/healthz").json == {"status": "ok"}
        assert client.get("/api/v1/me").status == 401
        assert served.stop() == 0
    text = "".join(served.lines)
    assert "sparkscore token create" in text
    assert "Traceback" not in text


def test_serve__takes_tokens_of_the_command_line_at_once(workspace: Path) -> None:
    made = json.loads(run_cli(workspace, "token", "create", "--role", "owner").stdout)
    with serving_process(workspace) as served:
        client = Client(served.url, token=made["token"])
        assert client.get("/api/v1/me").json["name"] == made["name"]
        assert "token create" not in "".join(served.lines)
        asked = run_cli(workspace, "account", "get-access-token", "--query", "accessToken")
        other = Client(served.url, token=json.loads(asked.stdout))
        assert other.get("/api/v1/me").json["role"] == "owner"
        revoked = run_cli(workspace, "token", "revoke", "-n", made["name"], "--yes")
        assert revoked.returncode == 0
        assert client.get("/api/v1/me").status == 401
        assert other.get("/api/v1/me").status == 200
    assert made["token"].split(".")[2] not in "".join(served.lines)


def test_serve__shows_the_address_that_it_listens_on(workspace: Path) -> None:
    with serving_process(workspace, "--no-auth") as served:
        client = Client(served.url, "/workspaces/ws")
        shown = client.put("/batchEndpoints/heart", {"properties": {"authMode": "AADToken"}}).json
    assert shown["properties"]["scoringUri"] == f"{served.url}/batchEndpoints/heart/jobs"


@pytest.mark.parametrize(
    ("arguments", "condition"),
    [
        (["--host", "0.0.0.0"], "INSECURE_ADDRESS"),
        (["--host", "::"], "INSECURE_ADDRESS"),
        (["--host", "192.0.2.1", "--no-auth"], "INSECURE_ADDRESS"),
        (["--tls-cert", "cert.pem"], "TLS_INCOMPLETE"),
        (["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "TLS_FILE_NOT_FOUND"),
    ],
)
def test_serve__refuses(workspace: Path, arguments: list[str], condition: str) -> None:
    done = run_cli(workspace, "serve", *arguments)
    assert done.returncode == UsageError.exit_code
    assert done.stderr.splitlines()[-1].startswith(f"sparkscore: {condition}: ")


def test_serve__refuses_an_address_in_use(workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_cli(workspace, "serve", "--no-auth", "--port", port)
    assert done.returncode == UsageError.exit_code
    assert "ADDRESS_NOT_AVAILABLE" in done.stderr


def test_serve__without_the_extra_says_what_to_install(workspace: Path) -> None:
    block = "import sys; sys.modules['fastapi'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", block + START, "serve", "-w", str(workspace)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == MissingDependencyError.exit_code
    assert "pip install 'sparkscore[server]'" in done.stderr


@pytest.mark.parametrize("proxy", ["", "127.0.0.1"])
def test_serve__believes_a_trusted_proxy_only(workspace: Path, proxy: str) -> None:
    if proxy:
        set_server(workspace, f'trusted_proxy = "{proxy}"')
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    token = json.loads(run_cli(workspace, "token", "create", "--role", "owner").stdout)["token"]
    with serving_process(workspace) as served:
        client = Client(served.url, "/workspaces/ws", token=token, headers=headers)
        shown = client.put("/batchEndpoints/heart", {"properties": {}}).json
    expected = "203.0.113.9" if proxy else "127.0.0.1"
    assert read_audit(workspace)[-1]["address"] == expected
    scheme = "https" if proxy else "http"
    assert shown["properties"]["scoringUri"].startswith(f"{scheme}://")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sparkscore test")])
    now = dt.datetime.now(dt.timezone.utc)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


def test_serve__speaks_tls_on_every_address(
    workspace: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    tls = ("--tls-cert", str(cert), "--tls-key", str(key))
    with serving_process(workspace, "--host", "0.0.0.0", *tls) as served:
        assert served.url.startswith("https://0.0.0.0:")
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        with urllib.request.urlopen(f"{url}/healthz", context=trusting, timeout=60) as answer:
            assert json.load(answer) == {"status": "ok"}
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{url.replace('https', 'http')}/healthz", timeout=60)


def test_serve__refuses_a_key_of_another_certificate(
    workspace: Path, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, _ = certificate
    done = run_cli(workspace, "serve", "--tls-cert", str(cert), "--tls-key", str(cert))
    assert done.returncode == UsageError.exit_code
    assert "INVALID_CERTIFICATE" in done.stderr
