"""The first shape: who may, what there is, and how it came to be.

Written out, and not read from the schema of today: a revision stays what it
was when databases were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=True),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_table(
        "blob",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blob")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "principal",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('account', 'machine', 'group')", name=op.f("ck_principal_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principal")),
        sa.UniqueConstraint("name", name=op.f("uq_principal_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "repository",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("visibility", sa.Text(), server_default=sa.text("'private'"), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("visibility IN ('private', 'public')", name=op.f("ck_repository_visibility")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
        sa.UniqueConstraint("name", name=op.f("uq_repository_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_repository_owner_id"), "repository", ["owner_id"], unique=False)
    op.create_index(
        "ix_repository_public",
        "repository",
        ["name"],
        unique=False,
        sqlite_where=sa.text("visibility = 'public'"),
        postgresql_where=sa.text("visibility = 'public'"),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("private_pem", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "account",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["principal.id"], name=op.f("fk_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
    )
    op.create_table(
        "blob_link",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_blob_link_digest")),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_blob_link_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_blob_link")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_blob_link_digest"), "blob_link", ["digest"], unique=False)
    op.create_table(
        "grant_",
        sa.Column("id", ID, nullable=False),
        sa.Column("principal_id", ID, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principal.id"], name=op.f("fk_grant__principal_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_grant__principal_id"), "grant_", ["principal_id"], unique=False)
    op.create_table(
        "manifest",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("subject_digest", sa.Text(), nullable=True),
        sa.Column("artifact_type", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("pushed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_manifest_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_manifest")),
    )
    op.create_index(
        "ix_manifest_subject",
        "manifest",
        ["repository_id", "subject_digest", "digest"],
        unique=False,
        sqlite_where=sa.text("subject_digest IS NOT NULL"),
        postgresql_where=sa.text("subject_digest IS NOT NULL"),
    )
    op.create_table(
        "tag_history",
        sa.Column("id", ID, nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("old_digest", sa.Text(), nullable=True),
        sa.Column("new_digest", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=True),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_tag_history_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tag_history_name", "tag_history", ["repository_id", "name", "id"], unique=False)
    op.create_index("ix_tag_history_repository", "tag_history", ["repository_id", "id"], unique=False)
    op.create_table(
        "tag_rule",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('immutable', 'except')", name=op.f("ck_tag_rule_kind")),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_tag_rule_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "kind", "pattern", name=op.f("pk_tag_rule")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_upload_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_principal_id"), "upload", ["principal_id"], unique=False)
    op.create_index(op.f("ix_upload_repository_id"), "upload", ["repository_id"], unique=False)
    op.create_table(
        "manifest_reference",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('config', 'layer', 'foreign', 'manifest')", name=op.f("ck_manifest_reference_kind")
        ),
        sa.ForeignKeyConstraint(
            ["repository_id", "manifest_digest"],
            ["manifest.repository_id", "manifest.digest"],
            name=op.f("fk_manifest_reference_repository_id_manifest_digest"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "manifest_digest", "digest", "kind", name=op.f("pk_manifest_reference")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_manifest_reference_digest", "manifest_reference", ["repository_id", "digest"], unique=False
    )
    op.create_table(
        "tag",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["manifest.repository_id", "manifest.digest"],
            name=op.f("fk_tag_repository_id_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_tag_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name=op.f("pk_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tag_digest", "tag", ["repository_id", "digest"], unique=False)
    op.create_table(
        "deleted_manifest",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("pushed_by", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_deleted_manifest_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_deleted_manifest")),
    )
    op.create_index(op.f("ix_deleted_manifest_deleted_at"), "deleted_manifest", ["deleted_at"], unique=False)
    op.create_table(
        "deleted_reference",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "manifest_digest"],
            ["deleted_manifest.repository_id", "deleted_manifest.digest"],
            name=op.f("fk_deleted_reference_repository_id_manifest_digest"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "manifest_digest", "digest", name=op.f("pk_deleted_reference")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_deleted_reference_digest", "deleted_reference", ["repository_id", "digest"], unique=False
    )
    op.create_table(
        "link_review",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["blob_link.repository_id", "blob_link.digest"],
            name=op.f("fk_link_review_repository_id_digest"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_link_review")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_link_review_since"), "link_review", ["since"], unique=False)
    op.create_table(
        "blob_review",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["blob.digest"], name=op.f("fk_blob_review_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blob_review")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_blob_review_since"), "blob_review", ["since"], unique=False)
    op.create_table(
        "manifest_review",
        sa.Column("repository_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"],
            ["manifest.repository_id", "manifest.digest"],
            name=op.f("fk_manifest_review_repository_id_digest"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_manifest_review")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_manifest_review_since"), "manifest_review", ["since"], unique=False)
