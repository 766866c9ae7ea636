"""`before_send`: the caller's own function sees a record before anything of it is kept; its failures are nobody else's."""

from pathlib import Path
from typing import Any

import pytest
from fake_server import Connect, FakeServer, down


def without_card(record: dict[str, Any]) -> dict[str, Any] | None:
    if record.get("id") == "secret":
        return None
    record.pop("card", None)
    return record


def test_what_it_takes_out_is_neither_sent_nor_on_disk(
    connect: Connect, server: FakeServer, tmp_path: Path
) -> None:
    server.say = down
    client = connect(before_send=without_card, durable=True)
    given = {"id": "a", "card": "4111", "deep": {"list": [1]}}
    client.log_prediction(given)
    client.log_predictions([{"id": "b", "card": "4111"}, {"id": "secret", "card": "4111"}])
    client.log_labels([{"id": "c", "card": "4111"}])
    client.log_feedback("a", "thumbs", 1, card="4111")
    client.log_label("a", True, card="4111")

    @client.track
    def score(card: str) -> float:
        return float(len(card))

    score("4111")
    assert given["card"] == "4111", "it is given a copy"
    server.asked(1)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.seg"))
    assert b'"thumbs"' in kept
    assert kept.count(b"4111") == 1, "a tracked call has its arguments in `features`"
    assert client.stats().dropped == {"withheld": 1}


def test_it_may_change_nested_values_of_its_copy(connect: Connect, server: FakeServer) -> None:
    def cut(record: dict[str, Any]) -> dict[str, Any]:
        record["deep"]["list"].clear()
        return record

    given = {"id": "a", "deep": {"list": [1]}}
    client = connect(before_send=cut)
    client.log_prediction(given)
    assert client.flush(10)
    assert given["deep"]["list"] == [1]  # type: ignore[index]
    assert server.records[0]["deep"] == {"list": []}
    assert "whorl_logged_at" in server.records[0], "it has its time all the same"


def test_what_fails_in_it_raises_nothing_and_logs_nothing(
    connect: Connect, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(before_send=lambda record: record["absent"])
    client.log_prediction({"id": "a", "card": "4111"})
    client.close()
    assert server.requests == []
    assert client.stats().dropped == {"before_send": 1}
    assert "1 dropped, before_send failed" in caplog.text
    assert "4111" not in caplog.text


def test_what_is_withheld_is_no_reason_to_warn(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = connect(before_send=lambda _: None)
    client.log_prediction({"id": "a"})
    client.close()
    assert client.stats().dropped == {"withheld": 1}
    assert caplog.text == ""


@pytest.mark.parametrize("gives", [[1], "text", 7])
def test_what_is_no_record_is_counted(connect: Connect, gives: Any) -> None:
    client = connect(before_send=lambda _: gives)
    client.log_prediction({"id": "a"})
    assert client.stats().dropped == {"unencodable": 1}
