"""spending: what calls of models reserved and used"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spending",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("engine", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.String, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("nano_usd", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_spending_state", "spending", ["state", "experiment_id"])
    op.create_index("ix_spending_day", "spending", ["day", "state"])


def downgrade() -> None:
    op.drop_table("spending")
