"""Rows of an index that name no amount are kept, and so is the text that came with a payment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CHECK = "ck_sightings_amount"


def upgrade() -> None:
    """Add the column, and allow the amount 0."""
    op.add_column(
        "payments", sa.Column("comment", sa.String(256), nullable=False, server_default="")
    )
    _require("amount >= 0")


def downgrade() -> None:
    """Drop it, and what has no amount."""
    op.execute("DELETE FROM sightings WHERE amount = 0")
    _require("amount > 0")
    op.drop_column("payments", "comment")


def _require(condition: str) -> None:
    # SQLite makes the table anew, and knows its constraints only from here.
    with op.batch_alter_table("sightings", copy_from=_sightings()) as batch:
        batch.drop_constraint(op.f(_CHECK), type_="check")
        batch.create_check_constraint(op.f(_CHECK), condition)


def _sightings() -> sa.Table:
    return sa.Table(
        "sightings",
        sa.MetaData(),
        sa.Column("network", sa.String(8), nullable=False),
        sa.Column("account", sa.String(80), nullable=False),
        sa.Column("tx_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.String(16), nullable=True),
        sa.Column("block_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False, server_default="0"),
        sa.CheckConstraint("network IN ('tron', 'ton')", name="ck_sightings_network"),
        sa.CheckConstraint("status IN ('waiting', 'read', 'refused')", name="ck_sightings_status"),
        sa.CheckConstraint("amount > 0", name=op.f(_CHECK)),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_sightings_order_id"),
        sa.PrimaryKeyConstraint("network", "account", "tx_id", "amount", name="pk_sightings"),
        sa.Index("ix_sightings_waiting", "network", "account", "status", "next_ms"),
    )
