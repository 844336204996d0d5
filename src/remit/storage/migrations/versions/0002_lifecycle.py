"""where each workload is in its life; those from before were in force"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workloads", sa.Column("state", sa.String(16), nullable=False, server_default="active"))
    op.create_index("ix_workloads_state", "workloads", ["state"])


def downgrade() -> None:
    op.drop_index("ix_workloads_state", "workloads")
    op.drop_column("workloads", "state")
