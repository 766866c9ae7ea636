"""Nothing that [capture] takes out is anywhere afterwards: not in a file, a rejects file, a log, a finding or an answer.

Records, good and bad, go in by every way with a secret of their own in each place. The same without [capture] leaves
every secret somewhere: the search finds what is there.
"""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from litestar.testing import TestClient
from telemetry_ways import over_otlp

from whorl.api.app import make_app
from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.capture.importers.files import ingest_file
from whorl.capture.importers.sql import ingest_sql
from whorl.errors import SourceError
from whorl.flywheel import Flywheel
from whorl.models.model import folder_digest
from whorl.serve.service import Service

SPEC = """
name = "desk"
task = "binary"
[schema]
id = "no"
time = "at"
group = "user.mail"
label = "truth.bad"
messages = "chat"
score = "said.score"
[schema.features]
amount = "float"
city = "category"
[release]
via = "serve"
"""
CAPTURE = """
[capture]
consent = "user.ok"
drop = ["holder", "user.name", "chat.name", "deep.list.pin"]
hash = ["user.mail", "city"]
truncate = { long = 5 }
redact = ["*"]
"""
KEY = "0123456789abcdef0123456789abcdef"
Ask = Callable[[list[Any]], None]


class Run:
    """One flywheel with everything that was ever said by it, and the secrets that were given to it."""

    def __init__(
        self, folder: Path, service: Service, client: TestClient, log: pytest.LogCaptureFixture
    ) -> None:
        self.folder, self.service, self.client, self.log = folder, service, client, log
        self.ws = service.wheel("desk").ws
        self.secrets: list[str] = []
        self.first: list[str] = []
        self.said: list[str] = []

    def secret(self, form: str = "canary{}@example.org") -> str:
        made = f"q{len(self.secrets):05d}z"
        self.secrets.append(made)
        return form.format(made)

    def good(self, **over: Any) -> dict[str, Any]:
        """A record with a secret in every place; a different one in each."""
        hidden, before = self.secret, len(self.secrets)
        record = {
            "no": f"n{len(self.secrets)}", "at": "2025-12-31T10:00:00Z", "amount": 1.5, "city": hidden("city {}"),
            "holder": hidden("Mr {}"), "long": hidden("abcdefgh {}"), "note": f"mail {hidden()} now",
            "user": {"ok": True, "mail": hidden(), "name": hidden("Ms {}")},
            "chat": [{"role": "user", "content": f"I am {hidden()}", "name": hidden("{}")},
                     {"role": "user", "content": [{"type": "text", "text": hidden()}]}],
            "deep": {"list": [{"pin": hidden("pin {}"), "text": hidden()}], "json": json.dumps({"a": hidden()})},
            "features": {"other": hidden()}, "extra": {"holder": hidden("Mr {}"), "text": hidden()},
        }  # fmt: skip
        self.first = self.first or self.secrets[before:]
        return record | over

    def bad(self) -> list[Any]:
        """Records that are refused, each in another way."""
        return [
            self.good(amount=self.secret()),
            self.good(at=self.secret()),
            self.good(truth={"bad": self.secret()}),
            self.good(said={"score": self.secret()}),
            self.good(chat=self.secret()),
            self.good(no=None),
            self.good(no={"is": self.secret()}),
            self.secret(),
            [self.secret()],
        ]

    def without_consent(self) -> list[dict[str, Any]]:
        silent, no = self.good(plain=self.secret("{}")), self.good(plain=self.secret("{}"))
        del silent["user"]["ok"]
        no["user"]["ok"] = False
        return [silent, no]

    def records(self) -> list[Any]:
        return [self.good(), *self.bad(), *self.without_consent(), self.good(truth={"bad": True})]

    def traces(self) -> set[str]:
        """The secrets that can be found."""
        everything = [*self.said, self.log.text, *(_texts(path) for path in self.folder.rglob("*"))]
        return {secret for secret in self.secrets if any(secret in text for text in everything)}


def _texts(path: Path) -> str:
    if not path.is_file():
        return ""
    plain = path.read_bytes().decode("latin-1")
    # Parquet is compressed: its values are looked at too.
    return plain + str(pq.ParquetFile(path).read().to_pylist()) if path.suffix == ".parquet" else plain


def over_http(run: Run) -> None:
    for kind in ("predictions", "labels", "feedback", "predict"):
        url = f"/v1/flywheels/desk/{kind}"
        run.said.append(run.client.post(url, json={"records": run.records()}).text)
        for record in run.records():
            run.said.append(run.client.post(url, json=record).text)
        lines = [json.dumps(record) for record in run.records()] + [json.dumps(run.good())[:-9], run.secret()]
        form = {"content-type": "application/x-ndjson"}
        run.said.append(run.client.post(url, content="\n".join(lines), headers=form).text)
        run.said.append(run.client.post(url, content=run.secret(), headers=form).text)
        run.said.append(run.client.post(url, content=run.secret()).text)
        run.said.append(run.client.post(url, json=run.secret()).text)


def embedded(run: Run) -> None:
    flywheel = Flywheel(run.ws)
    run.said.append(str(flywheel.log_predictions(run.records())))
    many = [record for _ in range(15) for record in run.records()]
    run.said.append(str(flywheel.log_predictions(many)))
    answers = [{"prediction_id": "n1", "name": "thumbs", "comment": f"I am {run.secret()}", "value": run.secret()},
               {"prediction_id": "n1", "name": "thumbs", "holder": run.secret("{}"), "kind": run.secret()},
               {"comment": run.secret()}]  # fmt: skip
    run.said.append(str(accept(run.ws, "feedback", answers)))
    native = {"id": "n2", "time": "2025-12-31T10:00:00Z", "group": run.secret(), "features": {"city": run.secret("{}")},
              "messages": [{"role": "user", "content": run.secret(), "name": run.secret("{}")}],
              "extra": {"user": {"ok": True}, "holder": run.secret("{}"), "long": run.secret("abcdefgh {}")}}  # fmt: skip
    run.said.append(
        str(accept(run.ws, "predictions", [native, {**native, "time": run.secret()}], native=True))
    )


def from_files(run: Run) -> None:
    lines = [json.dumps(record) for record in run.records()] + [json.dumps(run.good())[:-9], run.secret()]
    ndjson = run.folder.with_name("in.ndjson")
    ndjson.write_text("\n".join(lines))
    csv = run.folder.with_name("in.csv")
    head = "no,at,amount,city,holder,long,note,user.ok,user.mail,user.name,chat,plain\n"
    cells = [[f"c{n}", "2025-12-31", "1.5" if n % 2 else run.secret(), run.secret("{}"), run.secret("{}"),
              run.secret("abcdefgh {}"), run.secret(), "no" if n % 3 == 0 else "yes", run.secret(), run.secret("{}"),
              f"[{run.secret()}", run.secret("{}") if n % 3 == 0 else "fine"] for n in range(12)]  # fmt: skip
    csv.write_text(head + "\n".join(",".join(row) for row in cells) + f"\nshort,{run.secret()}\n")
    parquet = run.folder.with_name("in.parquet")
    rows = [run.good(no=f"p{n}", truth={"bad": n % 2 == 0}) for n in range(40)]
    for n, row in enumerate(rows):
        row["chat"] = row["chat"][:1]
        row["user"]["ok"] = n % 4 != 0
        row["amount"] = str(row["amount"]) if n % 5 else run.secret()
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    for path in (ndjson, csv, parquet):
        run.said.append(str(ingest_file(run.ws, path, "predictions")))


def from_sql(run: Run) -> None:
    url = f"sqlite:///{run.folder.with_name('shop.db')}"
    columns = ["no", "at", "amount", "city", "holder", "long", "note", "user.ok", "user.mail"]
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE t (" + ", ".join(f'"{name}"' for name in columns) + ")")
        for n in range(30):
            row = [f"s{n}", f"2025-12-31T10:00:{n:02d}", 1.5 if n % 2 else run.secret(), run.secret("{}"), run.secret("{}"),
                   run.secret("abcdefgh {}"), run.secret(), "yes", run.secret()]  # fmt: skip
            conn.exec_driver_sql(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", tuple(row))
    engine.dispose()
    run.said.append(str(ingest_sql(run.ws, url, "SELECT * FROM t", "at")))
    for column in ("note", "holder"):
        try:
            run.said.append(str(ingest_sql(run.ws, url, "SELECT * FROM t", column)))
        except SourceError as error:
            run.said.append(str(error))


def over_arrow(run: Run) -> None:
    url = "/v1/flywheels/desk/"
    for kind, compression in (
        ("predictions", None),
        ("predictions", "lz4"),
        ("labels", "zstd"),
        ("feedback", None),
    ):
        rows = [run.good(no=f"a{n}", truth={"bad": n % 2 == 0}) for n in range(120)]
        for n, row in enumerate(rows, start=1):
            row["user"]["ok"] = n % 4 != 0
            row["amount"] = str(row["amount"]) if n % 5 else run.secret()
            row["at"] = row["at"] if n % 7 else run.secret()
            row["chat"] = json.dumps(row["chat"]) if n % 11 else run.secret()
        whole = _arrow(rows, compression)
        odd = [{"no": run.secret("{}"), "at": run.secret(), run.secret(): 1, "holder": run.secret("{}")}]
        for body in (
            whole,
            _arrow(rows[:3], compression),
            whole[:-200],
            whole[:200],
            _arrow(odd, None),
            run.secret().encode(),
        ):
            headers = {"content-type": "application/vnd.apache.arrow.stream"}
            run.said.append(run.client.post(url + kind, content=body, headers=headers).text)


def _arrow(rows: list[dict[str, Any]], compression: str | None) -> bytes:
    table, sink = pa.Table.from_pylist(rows), pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(table, max_chunksize=50)
    return bytes(sink.getvalue())


def refused_whole(run: Run) -> None:
    """Requests of which nothing is taken: each says something of itself in its answer, or in a log."""
    form, good = {"content-type": "application/json"}, json.dumps(run.good())
    for kind in ("predictions", "labels", "feedback", "predict"):
        for body, headers in (
            (json.dumps({"records": [run.secret()] * 3}), form),
            (json.dumps([run.good()]), form),
            (json.dumps({"records": run.good()}), form),
            ("[" * 5000 + json.dumps(run.secret()), form),
            (good[:-1] + run.secret(), form),
            (good, {"content-type": "text/odd"}),
            (good, form | {"content-encoding": "odd"}),
            (good, form | {"content-encoding": "gzip"}),
            (good, form | {"idempotency-key": run.secret("{}") * 100}),
            (good, form | {"authorization": run.secret("Bearer whorl_0123456789ab_{}")}),
        ):
            run.said.append(run.client.post(f"/v1/flywheels/desk/{kind}", content=body, headers=headers).text)
        headers = form | {"idempotency-key": f"one-{kind}"}
        for body in (good, json.dumps(run.good())):
            run.said.append(run.client.post(f"/v1/flywheels/desk/{kind}", content=body, headers=headers).text)


KEEPING = [over_http, over_arrow, over_otlp, embedded, from_files, from_sql]
WAYS = [*KEEPING, refused_whole]


@pytest.fixture
def started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, constant_model: Any
) -> Iterator[Callable[[str], Run]]:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("WHORL_HASH_KEY", KEY)
    opened: list[Any] = []

    def start(capture: str) -> Run:
        spec = tmp_path / "flywheel.toml"
        spec.write_text(SPEC + capture)
        service = Service([spec], tmp_path / "ws")
        ws = service.wheel("desk").ws
        folder = constant_model(tmp_path / "model", ws.spec, 0.25)
        version = ws.registry.register(folder, trainer="test", digest=folder_digest(folder))
        ws.registry.point("champion", version.id, by="test", reason="")
        client = TestClient(make_app(service), base_url="http://127.0.0.1", raise_server_exceptions=False)
        opened.extend([client.__enter__(), service])
        return Run(tmp_path / "ws", service, client, caplog)

    yield start
    for client, service in zip(opened[::2], opened[1::2], strict=True):
        client.__exit__(None, None, None)
        service.close()


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_stays(started: Callable[[str], Run], way: Callable[[Run], None]) -> None:
    run = started(CAPTURE)
    way(run)
    assert run.secrets
    assert run.traces() == set()
    flush(run.ws)
    assert run.traces() == set()
    assert any(run.folder.rglob("*.parquet"))
    assert not any(KEY in text for text in [*run.said, run.log.text, *map(_texts, run.folder.rglob("*"))])


@pytest.mark.parametrize("way", KEEPING)
def test_without_the_scrub_they_are_found(started: Callable[[str], Run], way: Callable[[Run], None]) -> None:
    run = started("")
    way(run)
    flush(run.ws)
    found = run.traces()
    # The first record is a good one. What is refused leaves the value that it is refused for, and no more.
    assert set(run.first) <= found
    assert len(found) > 0.2 * len(run.secrets)
