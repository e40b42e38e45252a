"""The tables of the first ledger."""

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
        "cursors",
        sa.Column("network", sa.String(length=8), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("chain_ms", sa.BigInteger(), nullable=False),
        sa.Column("completed_ms", sa.BigInteger(), nullable=False),
        sa.Column("jetton_wallet", sa.String(length=80), nullable=False),
        sa.CheckConstraint("network IN ('tron', 'ton')", name=op.f("ck_cursors_network")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_cursors_position")),
        sa.PrimaryKeyConstraint("network", "account", name="pk_cursors"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("request", sa.String(length=128), nullable=False),
        sa.Column("plan", sa.String(length=32), nullable=False),
        sa.Column("delivers", sa.String(length=16), nullable=False),
        sa.Column("file", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("wallet", sa.String(length=80), nullable=False),
        sa.Column("contract", sa.String(length=80), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("comment", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("reserved_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("delivers IN ('download', 'licence')", name=op.f("ck_orders_delivers")),
        sa.CheckConstraint("method <> 'tron' OR amount > price", name=op.f("ck_orders_tail")),
        sa.CheckConstraint(
            "method = 'tron' OR length(comment) = 32", name=op.f("ck_orders_comment")
        ),
        sa.CheckConstraint("method IN ('tron', 'ton', 'ton-usdt')", name=op.f("ck_orders_method")),
        sa.CheckConstraint(
            "state IN ('new', 'seen', 'confirmed', 'overpaid', 'delivering', 'delivered', "
            "'expired', 'paid_late', 'underpaid', 'review')",
            name=op.f("ck_orders_state"),
        ),
        sa.CheckConstraint(
            "created_ms < expires_ms AND expires_ms < reserved_until_ms",
            name=op.f("ck_orders_times"),
        ),
        sa.CheckConstraint("price > 0 AND amount >= price", name=op.f("ck_orders_amount")),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("request", name="uq_orders_request"),
    )
    op.create_index("ix_orders_amount", "orders", ["wallet", "contract", "amount"], unique=False)
    op.create_index("ix_orders_recipient", "orders", ["channel", "recipient"], unique=False)
    op.create_index("ix_orders_state", "orders", ["state", "created_ms"], unique=False)
    op.create_index(
        "uq_orders_comment",
        "orders",
        ["comment"],
        unique=True,
        sqlite_where=sa.text("comment <> ''"),
        postgresql_where=sa.text("comment <> ''"),
    )
    op.create_index(
        "uq_orders_reservation",
        "orders",
        ["wallet", "contract", "amount"],
        unique=True,
        sqlite_where=sa.text("reserved AND method = 'tron'"),
        postgresql_where=sa.text("reserved AND method = 'tron'"),
    )
    op.create_table(
        "entitlements",
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("granted_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("granted_ms < expires_ms", name=op.f("ck_entitlements_times")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_entitlements_order_id"),
        sa.PrimaryKeyConstraint("order_id", name="pk_entitlements"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('seen', 'confirmed', 'overpaid', 'delivery', 'expired', "
            "'paid_late', 'underpaid')",
            name=op.f("ck_outbox_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('due', 'claimed', 'done', 'refused')", name=op.f("ck_outbox_status")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_outbox_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("order_id", "kind", name="uq_outbox_order_id_kind"),
    )
    op.create_index("ix_outbox_due", "outbox", ["channel", "status", "due_ms"], unique=False)
    op.create_table(
        "payments",
        sa.Column("network", sa.String(length=8), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=True),
        sa.Column("wallet", sa.String(length=80), nullable=False),
        sa.Column("contract", sa.String(length=80), nullable=False),
        sa.Column("sender", sa.String(length=80), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("block_ms", sa.BigInteger(), nullable=False),
        sa.Column("settles", sa.Boolean(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "method IN ('tron', 'ton', 'ton-usdt')", name=op.f("ck_payments_method")
        ),
        sa.CheckConstraint("network IN ('tron', 'ton')", name=op.f("ck_payments_network")),
        sa.CheckConstraint(
            "role <> 'settling' OR order_id IS NOT NULL", name=op.f("ck_payments_settling")
        ),
        sa.CheckConstraint("role IN ('settling', 'review')", name=op.f("ck_payments_role")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_payments_position")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_payments_order_id"),
        sa.PrimaryKeyConstraint("network", "tx_id", "position", name="pk_payments"),
    )
    op.create_index("ix_payments_order", "payments", ["order_id"], unique=False)
    op.create_index(
        "uq_payments_settling",
        "payments",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("role = 'settling'"),
        postgresql_where=sa.text("role = 'settling'"),
    )
    op.create_table(
        "sightings",
        sa.Column("network", sa.String(length=8), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("tx_id", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=True),
        sa.Column("block_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("network IN ('tron', 'ton')", name=op.f("ck_sightings_network")),
        sa.CheckConstraint(
            "status IN ('waiting', 'read', 'refused')", name=op.f("ck_sightings_status")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_sightings_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_sightings_order_id"),
        sa.PrimaryKeyConstraint("network", "account", "tx_id", "amount", name="pk_sightings"),
    )
    op.create_index(
        "ix_sightings_waiting",
        "sightings",
        ["network", "account", "status", "next_ms"],
        unique=False,
    )
    op.create_table(
        "reviews",
        sa.Column("subject", sa.String(length=96), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=True),
        sa.Column("network", sa.String(length=8), nullable=True),
        sa.Column("tx_id", sa.String(length=64), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("refund_to", sa.String(length=80), nullable=False),
        sa.Column("refund_amount", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "cause IN ('unmatched', 'underpaid', 'late', 'duplicate', 'unusual', 'undeliverable')",
            name=op.f("ck_reviews_cause"),
        ),
        sa.CheckConstraint(
            "decision IN ('', 'accepted', 'refund', 'dismissed', 'retried')",
            name=op.f("ck_reviews_decision"),
        ),
        sa.CheckConstraint(
            "status = 'open' OR decided_ms IS NOT NULL", name=op.f("ck_reviews_decided")
        ),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_reviews_status")),
        sa.CheckConstraint(
            "refund_amount IS NULL OR refund_amount > 0", name=op.f("ck_reviews_refund")
        ),
        sa.ForeignKeyConstraint(
            ["network", "tx_id", "position"],
            ["payments.network", "payments.tx_id", "payments.position"],
            name="fk_reviews_network_tx_id_position",
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_reviews_order_id"),
        sa.PrimaryKeyConstraint("subject", name="pk_reviews"),
    )
    op.create_index("ix_reviews_status", "reviews", ["status", "opened_ms"], unique=False)


def downgrade() -> None:
    """Drop all tables."""
    op.drop_index("ix_reviews_status", table_name="reviews")
    op.drop_table("reviews")
    op.drop_index("ix_sightings_waiting", table_name="sightings")
    op.drop_table("sightings")
    op.drop_index(
        "uq_payments_settling",
        table_name="payments",
    )
    op.drop_index("ix_payments_order", table_name="payments")
    op.drop_table("payments")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("entitlements")
    op.drop_index(
        "uq_orders_reservation",
        table_name="orders",
    )
    op.drop_index(
        "uq_orders_comment",
        table_name="orders",
    )
    op.drop_index("ix_orders_state", table_name="orders")
    op.drop_index("ix_orders_recipient", table_name="orders")
    op.drop_index("ix_orders_amount", table_name="orders")
    op.drop_table("orders")
    op.drop_table("cursors")
