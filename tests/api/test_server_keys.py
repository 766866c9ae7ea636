"""A real server and the keys that another process makes and takes back beside it."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest
from server_process import ServerProcess

from whorl.api.local_only import check_address
from whorl.api.server import Tls
from whorl.errors import StateError
from whorl.spec import load_spec
from whorl.storage import api_keys
from whorl.workspace import Workspace, open_workspace

LIST = "/v1/flywheels/fraud/cycles"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One of our own: once it has keys, it asks for them."""
    running = ServerProcess(tmp_path_factory.mktemp("keyed"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def beside(server: ServerProcess) -> Iterator[Workspace]:
    with open_workspace(load_spec(server.spec), server.root) as ws:
        yield ws


def seconds_until(server: ServerProcess, headers: dict[str, str], status: int) -> float:
    """How long it takes until this is the answer; never for a moment another one than before or after."""
    began = monotonic()
    while (answer := server.http.get(LIST, headers=headers)).status_code != status:
        assert answer.status_code in (200, 401), answer.text
        assert monotonic() - began < 30
        Event().wait(0.002)
    return monotonic() - began


def test_keys_made_and_revoked_beside_a_server_hold_within_a_second(
    server: ServerProcess, beside: Workspace
) -> None:
    assert server.http.get(LIST).status_code == 200, "no keys: this machine is served"
    assert "this machine alone" in server.log.read_text()
    key, presented = api_keys.create(beside.ledger, flywheel="fraud", scopes=["read"], name="", by="ann")
    headers = {"Authorization": f"Bearer {presented}"}
    seconds_until(server, {}, 401)
    assert server.http.get(LIST, headers=headers).status_code == 200
    until = monotonic() + 30
    while api_keys.listed(beside.ledger)[0].last_used_at is None:
        assert monotonic() < until
        Event().wait(0.01)
    api_keys.revoke(beside.ledger, key.id, by="ann")
    seconds_until(server, headers, 401)
    assert presented[19:] not in server.log.read_text()


def test_with_keys_it_listens_anywhere_and_says_what_travels_in_the_open(
    server: ServerProcess, beside: Workspace
) -> None:
    _, presented = api_keys.create(beside.ledger, flywheel=None, scopes=["read"], name="", by="ann")
    server.stop()
    server.start("--host", "0.0.0.0")
    assert "cross the network as they are" in server.log.read_text()
    headers = {"Authorization": f"Bearer {presented}", "Host": "whorl.example"}
    assert server.http.get(LIST, headers=headers).status_code == 200
    assert server.http.get(LIST).status_code == 401


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_without_keys_it_listens_on_this_machine_only(address: str) -> None:
    with pytest.raises(StateError, match="no API keys"):
        check_address(address)


def test_tls(server: ServerProcess, beside: Workspace, tmp_path: Path) -> None:
    tls = _certificate(tmp_path)
    _, presented = api_keys.create(beside.ledger, flywheel=None, scopes=["read"], name="", by="ann")
    server.stop()
    trusted = ssl.create_default_context(cafile=str(tls.cert))
    plain = server.http
    with httpx.Client(trust_env=False, verify=trusted) as server.http:
        server.start("--tls-cert", str(tls.cert), "--tls-key", str(tls.key), scheme="https")
        answer = server.http.get(LIST, headers={"Authorization": f"Bearer {presented}"})
        assert answer.status_code == 200
    server.http = plain


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    tls = _certificate(tmp_path)
    tls.check()
    tls.key.chmod(0o640)
    with pytest.raises(StateError, match="chmod 600"):
        tls.check()
    with pytest.raises(StateError, match="TLS cannot be set up"):
        Tls(tls.key, tls.key).check()


def _certificate(folder: Path) -> Tls:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    tls = Tls(folder / "cert.pem", folder / "key.pem")
    tls.cert.write_bytes(cert.public_bytes(pem))
    tls.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls.key.chmod(0o600)
    return tls
