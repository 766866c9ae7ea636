"""Opening a ledger: created once, cheap afterwards, refused when it is newer, no database, or out of reach."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from whorl.clock import SimulatedClock
from whorl.errors import StorageError, WorkspaceVersion
from whorl.storage.ledger import ledger as module
from whorl.storage.ledger.ledger import HEAD, Ledger
from whorl.storage.ledger.tables import metadata

OPEN = """
import sys
from whorl.clock import RealClock
from whorl.storage.ledger.ledger import Ledger
with Ledger.open(sys.argv[1], RealClock()) as ledger:
    print(ledger.uuid, "alembic" in sys.modules)
"""


def test_migrations_make_the_tables_that_the_code_declares(ledger: Ledger) -> None:
    with ledger.read() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_a_table_changed_without_a_migration_is_seen(ledger: Ledger) -> None:
    changed = sa.MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(changed)
    changed.tables["cycles"].append_column(sa.Column("forgotten", sa.Text))
    with ledger.read() as conn:
        assert len(compare_metadata(MigrationContext.configure(conn), changed)) == 1


def test_head_is_the_last_migration() -> None:
    assert ScriptDirectory(str(module._MIGRATIONS)).get_heads() == [HEAD]


def test_a_ledger_that_is_up_to_date_opens_without_alembic(ledger: Ledger) -> None:
    assert _open_elsewhere(ledger.url) == f"{ledger.uuid} False"


def test_the_uuid_stays_with_the_ledger_and_differs_from_the_next_ones(
    ledger: Ledger, clock: SimulatedClock, tmp_path: Path
) -> None:
    with Ledger.open(ledger.url, clock) as again, Ledger.open(f"sqlite:///{tmp_path}/b.db", clock) as other:
        assert again.uuid == ledger.uuid != other.uuid


def test_processes_that_open_a_new_ledger_at_once_agree(ledger_url: str) -> None:
    command = [sys.executable, "-c", OPEN, ledger_url]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert len({out.split()[0] for out, _ in answers}) == 1


def test_a_newer_ledger_is_refused_and_left_alone(ledger: Ledger, clock: SimulatedClock) -> None:
    with ledger.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(WorkspaceVersion) as refused:
        Ledger.open(ledger.url, clock)
    assert "0999" in str(refused.value)
    assert HEAD in str(refused.value)
    assert "Install" in refused.value.hint
    with ledger.read() as conn:
        assert conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0999"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, clock: SimulatedClock) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"id,amount\n" * 1000)
    with pytest.raises(StorageError, match="not a ledger") as refused:
        Ledger.open(f"sqlite:///{path}", clock)
    assert refused.value.where == str(path)
    assert path.read_bytes() == b"id,amount\n" * 1000


def test_a_directory_that_is_not_there_is_named(tmp_path: Path, clock: SimulatedClock) -> None:
    with pytest.raises(StorageError, match="cannot be opened") as refused:
        Ledger.open(f"sqlite:///{tmp_path}/absent/ledger.db", clock)
    assert "absent" in refused.value.where


def test_a_server_out_of_reach_is_named_without_its_password(tmp_path: Path, clock: SimulatedClock) -> None:
    with pytest.raises(StorageError, match="cannot be reached") as refused:
        Ledger.open(f"postgresql://whorl:secret@/ledger?host={tmp_path}", clock)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_hold_a_ledger_says_what_can(url: str, clock: SimulatedClock) -> None:
    with pytest.raises(StorageError, match="sqlite:////"):
        Ledger.open(url, clock)


def _open_elsewhere(url: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", OPEN, url], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout.strip()
