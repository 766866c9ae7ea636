"""A server under load, killed with -9 at moments that nobody chose: nothing acknowledged is lost, nothing is doubled."""

import random
from typing import Any

from books import Books, check
from senders import Load


def test_killed_again_and_again(server: Any, ledger_url: str, kills: int) -> None:
    chance, books = random.Random(kills), Books()
    one = server(ledger_url=ledger_url)
    load = Load(books, [one.url])
    for _ in range(kills):
        load.wait_for_acknowledgements(chance.randrange(1, 60))
        one.kill()
        one.start()
    load.wait_for_acknowledgements(5)
    load.stop()
    one.stop()
    check(books, one.root)
