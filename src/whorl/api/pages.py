"""Lists come in pages, newest first: `next` is what to send as `before` to get the page that follows."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from litestar.params import QueryParameter

from whorl.api.failures import BodyError
from whorl.records import Record

T = TypeVar("T")

MOST = 1000
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="Items in a page.")]
# JSON's numbers are exact up to here; databases' integers go further.
Before = Annotated[
    int | None,
    QueryParameter(ge=0, le=1 << 53, description="`next` of the page before.", schema_extra={"minimum": 0}),
]


class Page(Record, Generic[T], frozen=True, kw_only=True, omit_defaults=False):
    """Some items, and where the next ones begin; null when there are no more."""

    items: list[T]
    next: str | None


def no_place(before: str) -> BodyError:
    """What was sent as `before` is no `next` of a list whose places have several parts."""
    return BodyError(
        400, f"{before!r} is no place in this list.", where="before", hint="Send `next` of the page before."
    )


def page(found: Sequence[T], limit: int, key: Callable[[T], object]) -> Page[T]:
    """A page of what was found by asking for one more than `limit`.

    >>> page([3, 2, 1], 2, str)
    Page(items=[3, 2], next='2')
    """
    items = list(found[:limit])
    return Page(items=items, next=str(key(items[-1])) if len(found) > limit else None)
