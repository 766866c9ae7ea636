"""Several flushers: a claim is a row of its own that names its slot, and each slot counts its batches."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    last = op.get_bind().execute(sa.text("SELECT flywheel, kind, last_batch FROM inbox_slots")).all()
    op.drop_table("inbox_slots")
    slots = op.create_table(
        "inbox_slots",
        sa.Column("flywheel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("last_batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flywheel", "kind", "slot", name="pk_inbox_slots"),
    )
    # What was numbered so far belongs to the first slot, which goes on counting from there.
    op.bulk_insert(slots, [{**row._mapping, "slot": 0} for row in last])
    op.create_table(
        "inbox_claims",
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("flywheel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_inbox_claims"),
    )
    op.create_index(
        "ix_inbox_claims_flywheel_kind_slot_batch_seq",
        "inbox_claims",
        ["flywheel", "kind", "slot", "batch", "seq"],
    )
    op.execute(
        "INSERT INTO inbox_claims (seq, flywheel, kind, slot, batch) "
        "SELECT seq, flywheel, kind, 0, batch FROM inbox WHERE batch IS NOT NULL"
    )
    op.drop_index("ix_inbox_flywheel_kind_batch_seq_rows_bytes", "inbox")
    op.drop_column("inbox", "batch")
    op.create_index(
        "ix_inbox_flywheel_kind_seq_rows_bytes", "inbox", ["flywheel", "kind", "seq", "rows", "bytes"]
    )
