"""Payments in parts, dust, refunds that are marked sent, messages about one transfer; the key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from actors.runtime.errors import ConfigurationError
from actors.runtime.migrations import replace_check
from actors.runtime.settings import variable

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATES = (
    "state IN ('new', 'seen', 'confirmed', 'overpaid', 'delivering', 'delivered', 'expired', "
    "'paid_late', 'underpaid', 'review'{more})"
)
_KINDS = (
    "kind IN ('seen', 'confirmed', 'overpaid', 'delivery', 'expired', 'paid_late', "
    "'underpaid', 'duplicate', 'unusual', 'wrong_asset', 'refund_asked', 'refund_planned', "
    "'refund_sent', 'dismissed')"
)
_OUTBOX = "id, order_id, kind, channel, status, created_ms, due_ms, attempts, claim, error"


def upgrade() -> None:
    """Add the columns and the table, and allow the new words."""
    op.execute(
        "ALTER TABLE orders ADD COLUMN tolerance BIGINT DEFAULT '0' NOT NULL "
        "CONSTRAINT ck_orders_tolerance CHECK (tolerance >= 0 AND tolerance < amount)"
    )
    replace_check("orders", "ck_orders_state", _STATES.format(more=", 'closed'"))
    replace_check(
        "sightings", "ck_sightings_status", "status IN ('waiting', 'read', 'refused', 'dust')"
    )
    replace_check("payments", "ck_payments_role", "role IN ('settling', 'part', 'review', 'dust')")
    replace_check(
        "payments",
        "ck_payments_settling",
        "role NOT IN ('settling', 'part') OR order_id IS NOT NULL",
    )
    replace_check(
        "reviews",
        "ck_reviews_cause",
        "cause IN ('unmatched', 'underpaid', 'late', 'duplicate', 'unusual', 'wrong_asset', "
        "'undeliverable', 'overpaid')",
    )
    op.execute(
        "ALTER TABLE reviews ADD COLUMN amount BIGINT "
        "CONSTRAINT ck_reviews_amount CHECK ((cause = 'overpaid') = (amount IS NOT NULL))"
    )
    op.execute(
        "ALTER TABLE reviews ADD COLUMN refund_tx VARCHAR(80) DEFAULT '' NOT NULL "
        "CONSTRAINT ck_reviews_sent CHECK (refund_tx = '' OR decision = 'refund')"
    )
    op.add_column("reviews", sa.Column("sent_ms", sa.BigInteger()))
    op.create_index("ix_reviews_order", "reviews", ["order_id"], unique=False)
    _renew_outbox()
    _open_what_was_overpaid()
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_signing_keys_single")),
        sa.PrimaryKeyConstraint("id", name="pk_signing_keys"),
    )


def _renew_outbox() -> None:
    """Tell messages of one kind apart by what they are about.

    SQLite cannot change what is UNIQUE in a table; nothing refers to this one, so it is made anew.
    """
    if op.get_bind().dialect.name != "sqlite":
        op.add_column(
            "outbox", sa.Column("about", sa.String(96), nullable=False, server_default="")
        )
        op.drop_constraint(op.f("uq_outbox_order_id_kind"), "outbox", type_="unique")
        op.create_unique_constraint(
            op.f("uq_outbox_order_id_kind_about"), "outbox", ["order_id", "kind", "about"]
        )
        replace_check("outbox", "ck_outbox_kind", _KINDS)
        return
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.rename_table("outbox", "outbox_before")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("about", sa.String(length=96), nullable=False, server_default=""),
        sa.CheckConstraint(_KINDS, name=op.f("ck_outbox_kind")),
        sa.CheckConstraint(
            "status IN ('due', 'claimed', 'done', 'refused')", name=op.f("ck_outbox_status")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_outbox_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("order_id", "kind", "about", name="uq_outbox_order_id_kind_about"),
    )
    op.execute(f"INSERT INTO outbox ({_OUTBOX}) SELECT {_OUTBOX} FROM outbox_before")  # noqa: S608 - constants
    op.drop_table("outbox_before")
    op.create_index("ix_outbox_due", "outbox", ["channel", "status", "due_ms"], unique=False)


def _open_what_was_overpaid() -> None:
    """Put into the queue what buyers were told that a person would look at."""
    op.execute(
        "INSERT INTO reviews (subject, cause, order_id, opened_ms, status, decision, note, "
        "refund_to, amount) "
        "SELECT 'excess:' || orders.id, 'overpaid', orders.id, payments.recorded_ms, 'open', '', "
        "'', '', payments.amount - orders.amount "
        "FROM payments JOIN orders ON orders.id = payments.order_id "
        "WHERE payments.role = 'settling' AND payments.amount > orders.amount"
    )


def downgrade() -> None:
    """Refuse: what the new words say cannot be said in the old ones.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(
        "the ledger's tables cannot be made older",
        "they say what the older ones have no words for: payments in parts, refunds that were sent",
        "Restore the copy of the database that was made before, for the program of that time.",
        variable=variable("database_url"),
    )
