"""Without a server: what waits for a URL is tried at the end of a cycle, signed or not at all, and what stays is said."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from shop import Shop
from whorl.flywheel import Flywheel
from whorl.storage.outbox import signature, undelivered

Open = Callable[..., Shop]
SECRET = "WHORL_WEBHOOK_SECRET"
Got = list[tuple[bytes, str | None]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Got]]:
    """A URL of this machine, and what it was sent with which signature."""
    got: Got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, self.headers["X-Whorl-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", got
        server.shutdown()
        thread.join()


def turned(shop: Open, url: str) -> tuple[Shop, Flywheel]:
    """A shop whose first cycle waits until somebody confirms the release."""
    one = shop(
        f'[release]\nvia = "external"\nwebhook = "{url}"\n[evaluate]\ngates = []\n[train]\ncalibrate = false',
        head='automation = "full"',
    )
    one.sales(400)
    one.until(20)
    return one, Flywheel(one.ws)


def test_a_cycle_sends_what_it_asks(
    shop: Open, receiver: tuple[str, Got], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "key")
    url, got = receiver
    one, flywheel = turned(shop, url)
    report = flywheel.run_cycle()
    assert report.release is not None
    assert (report.release.state, report.release.previous) == ("waiting", None)
    assert report.release.message.startswith(f"{url} is asked to release shop/1; ")
    [(body, signed)] = got
    assert json.loads(body)["event"] == "release.requested"
    assert signed == f"sha256={signature('key', body)}"
    assert undelivered(one.ws.ledger, "shop") == []
    flywheel.run_cycle()
    assert len(got) == 1


def test_without_the_key_nothing_is_sent_until_it_is_there(
    shop: Open, receiver: tuple[str, Got], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    url, got = receiver
    one, flywheel = turned(shop, url)
    flywheel.run_cycle()
    assert got == []
    [said] = [need for need in flywheel.status().needs if "queued" in need]
    assert f"queued for {url}" in said
    assert f"{SECRET} is not set" in said
    assert "the next `whorl cycle run` sends them" in said
    monkeypatch.setenv(SECRET, "key")
    one.clock.advance(timedelta(minutes=1))
    flywheel.run_cycle()
    assert len(got) == 1
    assert not [need for need in flywheel.status().needs if "queued" in need]


def test_what_fails_stays_queued(shop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "key")
    one, flywheel = turned(shop, "http://127.0.0.1:9/hook")
    flywheel.run_cycle()
    [waiting] = undelivered(one.ws.ledger, "shop")
    assert (waiting.attempts, waiting.error is not None) == (1, True)
