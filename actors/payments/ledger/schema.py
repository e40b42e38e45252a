"""The tables of the ledger, and in their constraints the rules that nothing may break.

Times are ms since the Unix epoch, amounts whole numbers of the smallest unit. What the schema
itself holds:

- a transfer is recorded once: PRIMARY KEY (network, tx_id, position);
- an order has one settling payment at most, and one entitlement: a partial unique index and a
  primary key;
- no two live reservations ask for the same amount in the same wallet: a partial unique index;
- an order has one message of a kind about one thing: UNIQUE (order_id, kind, about);
- a request makes one order; a comment names one.

The migrations in `migrations/` make these tables; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from actors.runtime.migrations import Tables, no_tables

METADATA: Final = no_tables()

_METHODS: Final = "('tron', 'ton', 'ton-usdt')"
_NETWORKS: Final = "('tron', 'ton')"

orders = Table(
    "orders",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("request", String(128), nullable=False, unique=True),
    Column("plan", String(32), nullable=False),
    Column("delivers", String(16), nullable=False),
    Column("file", String(255), nullable=False),
    Column("method", String(16), nullable=False),
    Column("wallet", String(80), nullable=False),
    Column("contract", String(80), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("comment", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("recipient", String(64), nullable=False),
    Column("language", String(8), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("reserved_until_ms", BigInteger, nullable=False),
    Column("reserved", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("tolerance", BigInteger, nullable=False, server_default="0"),
    CheckConstraint(f"method IN {_METHODS}", name="method"),
    CheckConstraint("delivers IN ('download', 'licence')", name="delivers"),
    CheckConstraint("price > 0 AND amount >= price", name="amount"),
    CheckConstraint("method <> 'tron' OR amount > price", name="tail"),
    CheckConstraint("method = 'tron' OR length(comment) = 32", name="comment"),
    CheckConstraint("created_ms < expires_ms AND expires_ms < reserved_until_ms", name="times"),
    CheckConstraint(
        "state IN ('new', 'seen', 'confirmed', 'overpaid', 'delivering', 'delivered', 'expired', "
        "'paid_late', 'underpaid', 'review', 'closed')",
        name="state",
    ),
    CheckConstraint("tolerance >= 0 AND tolerance < amount", name="tolerance"),
    Index(
        "uq_orders_reservation",
        "wallet",
        "contract",
        "amount",
        unique=True,
        sqlite_where=text("reserved AND method = 'tron'"),
        postgresql_where=text("reserved AND method = 'tron'"),
    ),
    Index(
        "uq_orders_comment",
        "comment",
        unique=True,
        sqlite_where=text("comment <> ''"),
        postgresql_where=text("comment <> ''"),
    ),
    Index("ix_orders_amount", "wallet", "contract", "amount"),
    Index("ix_orders_recipient", "channel", "recipient"),
    Index("ix_orders_state", "state", "created_ms"),
)

sightings = Table(
    "sightings",
    METADATA,
    Column("network", String(8), primary_key=True),
    Column("account", String(80), primary_key=True),
    Column("tx_id", String(64), primary_key=True),
    # 0 for a row of the index that names no amount; an amount of nothing is never kept.
    Column("amount", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", ForeignKey("orders.id")),
    Column("block_ms", BigInteger, nullable=False),
    Column("status", String(8), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("asked", Integer, nullable=False, server_default="0"),
    CheckConstraint(f"network IN {_NETWORKS}", name="network"),
    CheckConstraint("status IN ('waiting', 'read', 'refused', 'dust')", name="status"),
    CheckConstraint("amount >= 0", name="amount"),
    Index("ix_sightings_waiting", "network", "account", "status", "next_ms"),
)

payments = Table(
    "payments",
    METADATA,
    Column("network", String(8), primary_key=True),
    Column("tx_id", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("method", String(16), nullable=False),
    Column("order_id", ForeignKey("orders.id")),
    Column("wallet", String(80), nullable=False),
    Column("contract", String(80), nullable=False),
    Column("sender", String(80), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("block_ms", BigInteger, nullable=False),
    Column("settles", Boolean, nullable=False),
    Column("role", String(8), nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("comment", String(256), nullable=False, server_default=""),
    CheckConstraint(f"network IN {_NETWORKS}", name="network"),
    CheckConstraint(f"method IN {_METHODS}", name="method"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("position >= 0", name="position"),
    # "settling" is the one that completes the sum, "part" are the others of it.
    CheckConstraint("role IN ('settling', 'part', 'review', 'dust')", name="role"),
    CheckConstraint("role NOT IN ('settling', 'part') OR order_id IS NOT NULL", name="settling"),
    Index(
        "uq_payments_settling",
        "order_id",
        unique=True,
        sqlite_where=text("role = 'settling'"),
        postgresql_where=text("role = 'settling'"),
    ),
    Index("ix_payments_order", "order_id"),
)

entitlements = Table(
    "entitlements",
    METADATA,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("granted_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    CheckConstraint("granted_ms < expires_ms", name="times"),
)

outbox = Table(
    "outbox",
    METADATA,
    # SQLite numbers rows by itself only in a column of exactly this type.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("status", String(8), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claim", String(32), nullable=False),
    Column("error", Text, nullable=False),
    # Subject of the review that it tells of; empty where it tells of the order as a whole.
    Column("about", String(96), nullable=False, server_default=""),
    UniqueConstraint("order_id", "kind", "about"),
    CheckConstraint(
        "kind IN ('seen', 'confirmed', 'overpaid', 'delivery', 'expired', 'paid_late', "
        "'underpaid', 'duplicate', 'unusual', 'wrong_asset', 'refund_asked', 'refund_planned', "
        "'refund_sent', 'dismissed')",
        name="kind",
    ),
    CheckConstraint("status IN ('due', 'claimed', 'done', 'refused')", name="status"),
    Index("ix_outbox_due", "channel", "status", "due_ms"),
)

reviews = Table(
    "reviews",
    METADATA,
    Column("subject", String(96), primary_key=True),
    Column("cause", String(16), nullable=False),
    Column("order_id", ForeignKey("orders.id")),
    Column("network", String(8)),
    Column("tx_id", String(64)),
    Column("position", BigInteger),
    Column("opened_ms", BigInteger, nullable=False),
    Column("status", String(8), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("decided_ms", BigInteger),
    Column("note", Text, nullable=False),
    Column("refund_to", String(80), nullable=False),
    Column("refund_amount", BigInteger),
    Column("amount", BigInteger),  # of what was paid beyond what was asked
    Column("refund_tx", String(80), nullable=False, server_default=""),
    Column("sent_ms", BigInteger),
    ForeignKeyConstraint(
        ["network", "tx_id", "position"],
        ["payments.network", "payments.tx_id", "payments.position"],
    ),
    CheckConstraint(
        "cause IN ('unmatched', 'underpaid', 'late', 'duplicate', 'unusual', 'wrong_asset', "
        "'undeliverable', 'overpaid')",
        name="cause",
    ),
    CheckConstraint("status IN ('open', 'closed')", name="status"),
    CheckConstraint(
        "decision IN ('', 'accepted', 'refund', 'dismissed', 'retried')", name="decision"
    ),
    CheckConstraint("status = 'open' OR decided_ms IS NOT NULL", name="decided"),
    CheckConstraint("refund_amount IS NULL OR refund_amount > 0", name="refund"),
    CheckConstraint("(cause = 'overpaid') = (amount IS NOT NULL)", name="amount"),
    CheckConstraint("refund_tx = '' OR decision = 'refund'", name="sent"),
    Index("ix_reviews_status", "status", "opened_ms"),
    Index("ix_reviews_order", "order_id"),
)

cursors = Table(
    "cursors",
    METADATA,
    Column("network", String(8), primary_key=True),
    Column("account", String(80), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("mark", String(64), nullable=False),
    Column("chain_ms", BigInteger, nullable=False),
    Column("completed_ms", BigInteger, nullable=False),
    Column("jetton_wallet", String(80), nullable=False),
    Column("jetton_master", String(80), nullable=False, server_default=""),
    CheckConstraint(f"network IN {_NETWORKS}", name="network"),
    CheckConstraint("position >= 0", name="position"),
)

signing_keys = Table(
    "signing_keys",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(32), nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

TABLES: Final = Tables("ledger", METADATA, Path(__file__).parent / "migrations", "alembic_version")
