"""Bytes on a socket as no client library would send them, and what one server process came to."""

import socket
from typing import Any

import psutil


def said(port: int, *sent: bytes, within_s: float = 30.0) -> bytes:
    """What a server answers to these bytes, up to where it closes or has nothing more to say for a moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as wire:
        for part in sent:
            try:
                wire.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        return answer_on(wire)


def answer_on(wire: socket.socket, *, answers: int = 1) -> bytes:
    """So many answers with a Content-Length, or as much as came before the other side closed."""
    found = b""
    while True:
        try:
            more = wire.recv(1 << 16)
        except ConnectionResetError:
            more = b""
        found += more
        if not more or complete(found) >= answers:
            return found


def complete(found: bytes) -> int:
    """How many whole answers these bytes are."""
    count = 0
    while (end := found.find(b"\r\n\r\n")) >= 0:
        lengths = [line for line in found[:end].lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(lengths[0].partition(b":")[2]) if lengths else 0
        if len(found) < end + 4 + size:
            break
        count, found = count + 1, found[end + 4 + size :]
    return count


def status(answer: bytes) -> int:
    """0 when there was none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def request(path: str, body: bytes = b"", *, method: str = "POST", **headers: Any) -> bytes:
    """A request; `content_length=None` leaves that header out."""
    given = {"host": "127.0.0.1", "content-type": "application/json", "content-length": len(body)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def resident_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)
