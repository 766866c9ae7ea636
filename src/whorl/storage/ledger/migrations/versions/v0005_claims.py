"""A claim is a run of rows, not a row for each: claiming a thousand small payloads writes one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    claimed = (
        op.get_bind().execute(sa.text("SELECT flywheel, kind, seq, slot, batch FROM inbox_claims")).all()
    )
    op.drop_table("inbox_claims")
    claims = op.create_table(
        "inbox_claims",
        sa.Column("flywheel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flywheel", "kind", "first", name="pk_inbox_claims"),
    )
    runs = [
        {
            "flywheel": row.flywheel,
            "kind": row.kind,
            "first": row.seq,
            "last": row.seq,
            "slot": row.slot,
            "batch": row.batch,
        }
        for row in claimed
    ]
    if runs:
        op.bulk_insert(claims, runs)
