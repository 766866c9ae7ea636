"""Log each call of a function as a prediction: what went in, what came out or was raised, how long it took.

The function answers as it did: the same values, the same exceptions, whatever becomes of the log. Inputs are copied
before the call, so that a function which changes its arguments is logged with those it was given.
"""

import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import datetime
from time import perf_counter
from typing import Any
from uuid import uuid4

from whorl.client.encode import plain

log = logging.getLogger("whorl.client")

Function = Callable[..., Any]
Id = str | Function | None
Log = Callable[[dict[str, Any]], None]
Now = Callable[[], datetime]

# What is kept of a stream, and of what an exception says.
MAX_ITEMS = 10_000
MAX_MESSAGE = 500


def tracked(log_call: Log, now: Now, function: Function | None, id: Id) -> Any:
    """The decorator behind `track`, with and without arguments.

    Args:
        log_call: Takes a record with the field names of Prediction.
        function: None when the decorator was given arguments: the answer is then what decorates.
        id: The name of the argument that holds the prediction's id, or a function of the same arguments that gives it.
            Default: a new id.
    """
    if function is None:
        return lambda function: tracked(log_call, now, function, id)
    begin = functools.partial(_Call, log_call, now, function, inspect.signature(function), id)
    if inspect.isasyncgenfunction(function):
        wrapper = _async_stream(function, begin)
    elif inspect.isgeneratorfunction(function):
        wrapper = _stream(function, begin)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(function, begin)
    else:
        wrapper = _plain(function, begin)
    return functools.wraps(function)(wrapper)


class _Call:
    """One call while it runs; `end` logs it. Neither raises."""

    def __init__(
        self,
        log_call: Log,
        now: Now,
        function: Function,
        signature: inspect.Signature,
        id: Id,
        args: Any,
        kwargs: Any,
    ) -> None:
        self._log, self._name = log_call, f"{function.__module__}.{function.__qualname__}"
        self._items: list[Any] = []
        self._seen = 0
        self._record: dict[str, Any] | None = None
        try:
            known = {"time": now(), "extra": {"function": self._name}}
            self._record = {**known, **_inputs(signature, id, args, kwargs)}
        except Exception as error:  # noqa: BLE001 - whatever the caller's objects throw, the call goes on
            _tell(self._name, repr(error))
        self._began = perf_counter()

    def see(self, item: Any) -> None:
        """One item of a stream."""
        self._seen += 1
        if len(self._items) < MAX_ITEMS:
            self._items.append(item)

    def end(self, output: Any = None, error: BaseException | None = None, **extra: Any) -> None:
        latency_ms = 1000 * (perf_counter() - self._began)
        if self._record is None:
            return
        if error is not None:
            extra["error"] = {"type": type(error).__qualname__, "message": _said(error)}
        record = {**self._record, "output": output, "latency_ms": latency_ms}
        record["extra"] = {**self._record["extra"], **extra}
        try:
            self._log(record)
        except Exception as refused:  # noqa: BLE001 - what the call gave is given back all the same
            _tell(self._name, repr(refused))

    def end_of_stream(self, error: BaseException | None = None) -> None:
        """What was seen of a stream is its output, also of one that failed, or that its reader left."""
        text = bool(self._items) and all(isinstance(item, str) for item in self._items)
        output = "".join(self._items) if text else self._items
        if isinstance(error, GeneratorExit):
            self.end(output, items=self._seen, left_early=True)
        else:
            self.end(output, error, items=self._seen)


@functools.lru_cache(256)
def _tell(name: str, error: str) -> None:
    """Warn, of one thing once."""
    log.warning("Whorl: calls of %s are not logged: %s", name, error)


def _said(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is must still reach the caller
        return ""


def _inputs(signature: inspect.Signature, id: Id, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments by name, as features, and the id."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    known = id(*args, **kwargs) if callable(id) else bound.arguments[id] if id else uuid4().hex
    named = {name: value for name, value in bound.arguments.items() if name not in ("self", "cls")}
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(name, {})
    return {"id": str(known), "features": plain(named)}


def _plain(function: Function, begin: Callable[[Any, Any], _Call]) -> Function:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        call.end(output)
        return output

    return wrapper


def _coroutine(function: Function, begin: Callable[[Any, Any], _Call]) -> Function:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            output = await function(*args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        call.end(output)
        return output

    return wrapper


def _stream(function: Function, begin: Callable[[Any, Any], _Call]) -> Function:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        try:
            returned = yield from _Watched(function(*args, **kwargs), call)
        except BaseException as error:
            call.end_of_stream(error)
            raise
        call.end_of_stream()
        return returned

    return wrapper


class _Watched(Generator[Any, Any, Any]):
    """A generator whose items are seen on their way; sending, throwing and closing reach it."""

    def __init__(self, inner: Generator[Any, Any, Any], call: _Call) -> None:
        self._inner, self._call = inner, call

    def send(self, value: Any) -> Any:
        item = self._inner.send(value)
        self._call.see(item)
        return item

    def throw(self, *raised: Any) -> Any:
        item = self._inner.throw(*raised)
        self._call.see(item)
        return item

    def close(self) -> None:
        self._inner.close()


def _async_stream(function: Function, begin: Callable[[Any, Any], _Call]) -> Function:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = begin(args, kwargs)
        try:
            # There is no `yield from` for these: what the reader sends, throws or closes is handed on by hand.
            inner = function(*args, **kwargs)
            step = inner.asend(None)
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    break
                call.see(item)
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the stream's to raise
                    step = inner.athrow(error)
        except BaseException as error:
            call.end_of_stream(error)
            raise
        call.end_of_stream()

    return wrapper
