# ruff: noqa: ARG001 - what is tracked is called by name, not used
"""`track` logs what a function did, and the function does what it did before."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fake_server import WITHIN_S, Connect, FakeServer

import whorl
from whorl.client.client import Client


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


def logged(client: Client, server: FakeServer) -> list[dict[str, Any]]:
    assert client.flush(WITHIN_S)
    assert all(request.url.query == b"native=true" for request in server.requests)
    return server.records


def test_a_call_is_a_prediction(client: Client, server: FakeServer) -> None:
    @client.track(id="order")
    def score(order: str, amount: float, *, tags: tuple[str, ...] = ("a",), **more: Any) -> float:
        """Its own words."""
        return amount / 1000

    assert score("o_1", 150.0, shop="x") == 0.15
    (record,) = logged(client, server)
    assert record.pop("latency_ms") >= 0
    assert record == {
        "id": "o_1",
        "time": "2026-01-01T00:00:00Z",
        "features": {"order": "o_1", "amount": 150.0, "tags": ["a"], "shop": "x"},
        "output": 0.15,
        "extra": {"function": f"{__name__}.test_a_call_is_a_prediction.<locals>.score"},
    }
    assert (score.__name__, score.__doc__) == ("score", "Its own words.")
    assert list(inspect.signature(score).parameters) == ["order", "amount", "tags", "more"]


def test_ids_are_new_or_made_from_the_arguments(client: Client, server: FakeServer) -> None:
    @client.track
    def plain(x: int) -> int:
        return x

    @client.track(id=lambda x: f"n{x}")
    def named(x: int) -> int:
        return x

    assert [plain(1), plain(1), named(7)] == [1, 1, 7]
    first, second, third = logged(client, server)
    assert first["id"] != second["id"]
    assert third["id"] == "n7"


def test_what_is_raised_is_logged_and_is_the_same_object(client: Client, server: FakeServer) -> None:
    error = ValueError("no such shop " + "x" * 1000)

    @client.track
    def failing() -> None:
        raise error

    with pytest.raises(ValueError, match="no such shop") as caught:
        failing()
    assert caught.value is error
    (record,) = logged(client, server)
    assert record["extra"]["error"]["type"] == "ValueError"
    assert len(record["extra"]["error"]["message"]) == 500
    assert record.get("output") is None


def test_inputs_are_those_of_the_call_and_the_output_is_untouched(client: Client, server: FakeServer) -> None:
    class Answer: ...

    answer = Answer()

    @client.track
    def eat(items: list[int], rows: Any) -> Answer:
        items.clear()
        return answer

    items = [1, 2]
    assert eat(items, np.arange(2)) is answer
    assert items == []
    (record,) = logged(client, server)
    assert record["features"] == {"items": [1, 2], "rows": [0, 1]}


def test_methods_are_logged_without_self(client: Client, server: FakeServer) -> None:
    class Model:
        @client.track
        def predict(self, x: int) -> int:
            return x + 1

        @classmethod
        @client.track
        def made(cls, x: int) -> int:
            return x + 2

    assert (Model().predict(1), Model.made(1)) == (2, 3)
    assert [record["features"] for record in logged(client, server)] == [{"x": 1}, {"x": 1}]


def test_coroutines_are_awaited_and_their_errors_and_ends_kept(client: Client, server: FakeServer) -> None:
    @client.track
    async def answer(x: int) -> int:
        await asyncio.sleep(0)
        if x < 0:
            await asyncio.Event().wait()
        return x * 2

    async def main() -> None:
        assert inspect.iscoroutinefunction(answer)
        assert await asyncio.gather(answer(1), answer(2)) == [2, 4]
        task = asyncio.ensure_future(answer(-1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    *good, cancelled = logged(client, server)
    assert [record["output"] for record in good] == [2, 4]
    assert cancelled["extra"]["error"]["type"] == "CancelledError"


def test_a_generator_is_logged_at_its_end_with_all_it_gave(client: Client, server: FakeServer) -> None:
    closed: list[str] = []

    @client.track
    def talk() -> Any:
        try:
            heard = yield "Hel"
            while True:
                try:
                    heard = yield heard
                except KeyError:
                    return "end"
        finally:
            closed.append("yes")

    stream = talk()
    assert inspect.isgeneratorfunction(talk)
    assert next(stream) == "Hel"
    assert stream.send("lo") == "lo"
    with pytest.raises(StopIteration, match="end"):
        stream.throw(KeyError("stop"))
    assert closed == ["yes"]
    (record,) = logged(client, server)
    assert (record["output"], record["extra"]["items"]) == ("Hello", 2)


def test_a_generator_that_fails_or_is_left_keeps_what_it_gave(client: Client, server: FakeServer) -> None:
    closed: list[str] = []

    @client.track
    def numbers(last: int) -> Iterator[int]:
        try:
            yield from range(last)
            raise RuntimeError("no more")
        finally:
            closed.append("yes")

    with pytest.raises(RuntimeError, match="no more"):
        list(numbers(2))
    left = numbers(10)
    assert next(left) == 0
    left.close()
    assert closed == ["yes", "yes"]
    failed, early = logged(client, server)
    assert (failed["output"], failed["extra"]["error"]["type"]) == ([0, 1], "RuntimeError")
    assert (early["output"], early["extra"]["left_early"]) == ([0], True)


def test_an_async_generator_is_the_same(client: Client, server: FakeServer) -> None:
    @client.track
    async def talk(words: list[str]) -> AsyncIterator[str]:
        for word in words:
            try:
                yield word
            except KeyError:
                yield "sorry"
        raise RuntimeError("over")

    async def main() -> None:
        assert inspect.isasyncgenfunction(talk)
        whole: Any = talk(["a", "b"])
        assert [await anext(whole), await anext(whole)] == ["a", "b"]
        with pytest.raises(RuntimeError, match="over"):
            await anext(whole)
        stream: Any = talk(["a", "b"])
        assert await anext(stream) == "a"
        assert await stream.athrow(KeyError("x")) == "sorry"
        await stream.aclose()

    asyncio.run(main())
    failed, early = logged(client, server)
    assert (failed["output"], failed["extra"]["error"]["message"]) == ("ab", "over")
    assert (early["output"], early["extra"]["left_early"]) == ("asorry", True)


def bad_id(x: int) -> str:
    raise LookupError("no id")


@pytest.mark.parametrize("id", ["nobody", bad_id])
def test_what_cannot_be_logged_is_told_and_the_function_runs(
    client: Client, server: FakeServer, caplog: pytest.LogCaptureFixture, id: str | Callable[..., str]
) -> None:
    @client.track(id=id)
    def twice(x: int) -> int:
        return 2 * x

    assert [twice(2), twice(2)] == [4, 4]
    with pytest.raises(TypeError, match="missing 1 required"):
        twice()
    assert logged(client, server) == []
    assert "twice are not logged" in caplog.text


def test_track_means_the_client_that_was_connected_last(connect: Connect, server: FakeServer) -> None:
    @whorl.track
    def twice(x: int) -> int:
        return 2 * x

    client = connect()
    assert twice(2) == 4
    assert logged(client, server)[0]["output"] == 4
