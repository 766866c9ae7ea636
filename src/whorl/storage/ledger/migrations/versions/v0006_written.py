"""A spec's version knows the hash of what was written, beside that of what it comes to with the defaults of then."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("specs", sa.Column("written", sa.Text(), nullable=True))
