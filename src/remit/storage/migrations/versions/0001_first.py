"""the first tables: people, workloads, tasks, single values"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "humans",
        sa.Column("name", sa.String(256), primary_key=True),
        sa.Column("person", sa.String(64), unique=True, nullable=False),
        sa.Column("uids", sa.JSON, nullable=False),
    )
    op.create_table(
        "workloads",
        sa.Column("spiffe_id", sa.String(2048), primary_key=True),
        sa.Column("name", sa.String(256), nullable=False, index=True),
        sa.Column("owner", sa.String(256), nullable=False, index=True),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("human", sa.String(256), nullable=False, index=True),
        sa.Column("expires", sa.Float, nullable=False, index=True),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(4096), nullable=False),
    )


def downgrade() -> None:
    for table in ("meta", "tasks", "workloads", "humans"):
        op.drop_table(table)
