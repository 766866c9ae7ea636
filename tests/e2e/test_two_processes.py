"""While a server runs a workspace, other processes read, answer, promote and roll back; what only one may do is refused."""

from collections.abc import Iterator

import pytest
from payments import payments, spec_text
from typer.testing import CliRunner
from whorl_process import Server, answered, done, until, whorl

from whorl.cli.app import app


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    spec = tmp_path_factory.mktemp("shop") / "flywheel.toml"
    spec.write_text(spec_text('[release]\nvia = "serve"', automation="approval"))
    running = Server(spec)
    yield running
    running.close()


def beside(server: Server, *words: str) -> str:
    """A command in this process, which is not the server's."""
    said = CliRunner().invoke(app, [*words, "--spec", str(server.spec)])
    assert said.exit_code == 0, (said.output, said.exception)
    return said.stdout


def answers(server: Server) -> str | None:
    """The version that answers."""
    features = {"amount": 1.0, "age": 0.0, "shop": "books"}
    got = server.http.post("/v1/flywheels/fraud/predict", json=features)
    return got.json()["model_version"] if got.is_success else None


def turned(server: Server, number: int) -> None:
    """One cycle more, approved by another process, up to its end."""
    rows = payments(300, seed=number, first=1000 * number)
    assert server.http.post("/v1/flywheels/fraud/predictions", json={"records": rows}).status_code == 202
    assert server.http.post("/v1/flywheels/fraud/cycles").status_code == 202
    server.awaited("waiting", "approval")
    assert f"fraud-{number:04d} waiting" in beside(server, "status")
    beside(server, "cycle", "approve", "--by", "ann", "--reason", "looks right")
    server.awaited("finished")


def test_approve_promote_and_roll_back_beside_a_server(server: Server) -> None:
    turned(server, 1)
    turned(server, 2)
    assert "fraud-0002" in beside(server, "cycle", "list")
    until(lambda: answers(server) == "fraud/2", server.log.read_text)
    # From a process that has opened nothing before.
    assert "Champion is fraud/1 again" in done("model", "rollback", "--spec", server.spec)
    until(lambda: answers(server) == "fraud/1", server.log.read_text)
    beside(server, "model", "promote", "2", "--reason", "it was better")
    until(lambda: answers(server) == "fraud/2", server.log.read_text)
    (last, *_) = answered("model", "show", "2", "--spec", server.spec)["changes"]
    assert (last["model_id"], last["reason"]) == ("fraud/2", "it was better")


def test_a_second_server_and_a_cycle_beside_it_are_told_what_holds_the_workspace(server: Server) -> None:
    pid = server.process.pid
    for words in (("serve", "--port", "1"), ("cycle", "run")):
        said = whorl(*words, "--spec", server.spec)
        assert said.returncode == 3, said
        assert f"Process {pid}" in said.stderr
        assert f"kill {pid}" in said.stderr
        assert "approving" in said.stderr
        assert "Traceback" not in said.stderr


def test_killed_it_leaves_a_workspace_that_everybody_can_open(server: Server) -> None:
    rows = payments(50, seed=9, first=9000)
    assert server.http.post("/v1/flywheels/fraud/predictions", json={"records": rows}).status_code == 202
    server.kill()
    beside(server, "status")
    report = answered("cycle", "run", "--spec", server.spec)
    assert (report["id"], report["state"]) == ("fraud-0003", "waiting")
    server.start()
    beside(server, "cycle", "reject", "--reason", "not now")
    server.awaited("rejected")
    assert server.http.get("/v1/flywheels/fraud/models").json()["items"][0]["model"]["version"] == 3
    until(lambda: answers(server) == "fraud/2", server.log.read_text)
