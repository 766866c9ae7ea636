"""No test reaches beyond this machine: the guard of `tests/loopback` bites here, and in a process that a test starts."""

import contextlib
import socket
import subprocess
import sys

import pytest

# Reserved for documentation by RFC 5737 and RFC 6761: nobody answers there, guard or not.
ELSEWHERE, NAME_ELSEWHERE = "192.0.2.1", "whorl.invalid"


@pytest.fixture
def refused() -> list[str]:
    """What the guard has refused so far; what a test provokes by intent it takes out again."""
    import loopback_only

    return loopback_only.attempts


def test_a_connection_to_another_machine_is_refused(refused: list[str]) -> None:
    with (
        socket.socket() as stream,
        pytest.raises(OSError, match=r"tests reach nothing but this machine"),
    ):
        stream.connect((ELSEWHERE, 443))
    assert refused.pop() == f"socket.connect {ELSEWHERE}"


def test_a_name_is_not_looked_up(refused: list[str]) -> None:
    with pytest.raises(OSError, match=r"tests reach nothing but this machine"):
        socket.getaddrinfo(NAME_ELSEWHERE, 443)
    assert refused.pop() == f"socket.getaddrinfo {NAME_ELSEWHERE}"


def test_a_datagram_is_refused_too(refused: list[str]) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain,
        pytest.raises(OSError, match=r"tests reach nothing but this machine"),
    ):
        plain.sendto(b"x", (ELSEWHERE, 53))
    assert refused.pop() == f"socket.sendto {ELSEWHERE}"


def test_what_swallows_the_error_is_remembered(refused: list[str]) -> None:
    with contextlib.suppress(OSError):
        socket.create_connection((ELSEWHERE, 443), timeout=1)
    assert refused.pop().endswith(ELSEWHERE)


def test_loopback_answers(refused: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    assert refused == []


def test_a_process_that_a_test_starts_is_guarded() -> None:
    code = f"import socket; socket.create_connection(({ELSEWHERE!r}, 443), timeout=1)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "tests reach nothing but this machine" in ended.stderr
