"""The tables of the first alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "alerts_taken",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts_taken"),
    )
    op.create_index("ix_alerts_taken_at_ms", "alerts_taken", ["at_ms"])
    op.create_table(
        "alerts_threads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("closed", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("path", sa.String(length=16), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts_threads"),
    )
    for column in ("name", "due_ms", "last_ms"):
        op.create_index(f"ix_alerts_threads_{column}", "alerts_threads", [column])
    op.create_table(
        "alerts_faults",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("thread", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Text(), nullable=False),
        _of_thread("alerts_faults"),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_alerts_faults"),
    )
    op.create_index("ix_alerts_faults_thread", "alerts_faults", ["thread"])
    op.create_table(
        "alerts_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _of_thread("alerts_notices"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts_notices"),
    )
    op.create_index("ix_alerts_notices_thread", "alerts_notices", ["thread"])
    op.create_table(
        "alerts_deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("notice", sa.Integer(), nullable=False),
        sa.Column("thread", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("doubtful", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice"],
            ["alerts_notices.id"],
            name="fk_alerts_deliveries_notice",
            ondelete="CASCADE",
        ),
        _of_thread("alerts_deliveries"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts_deliveries"),
        sa.UniqueConstraint("notice", "channel", name="uq_alerts_deliveries_notice_channel"),
    )
    op.create_index("ix_alerts_deliveries_channel_state", "alerts_deliveries", ["channel", "state"])
    op.create_index("ix_alerts_deliveries_thread", "alerts_deliveries", ["thread"])
    op.create_table(
        "alerts_silences",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts_silences"),
    )
    op.create_table(
        "alerts_cursors",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("view", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("source", name="pk_alerts_cursors"),
    )


def _of_thread(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["thread"], ["alerts_threads.id"], name=f"fk_{table}_thread", ondelete="CASCADE"
    )
