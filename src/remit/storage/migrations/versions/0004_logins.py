"""which account at an OpenID provider each person logs in with; nobody had one before"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("humans", sa.Column("login_issuer", sa.String(2048), nullable=True))
    op.add_column("humans", sa.Column("login_subject", sa.String(255), nullable=True))
    op.create_index("ix_humans_login", "humans", ["login_issuer", "login_subject"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_humans_login", "humans")
    op.drop_column("humans", "login_subject")
    op.drop_column("humans", "login_issuer")
