"""Which master the jetton wallet of a shop is of; where one is known already, it is asked again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "cursors", sa.Column("jetton_master", sa.String(80), nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("cursors", "jetton_master")
