"""Every table of the registry's catalog.

One set of SQLAlchemy Core tables describes the catalog on SQLite and on
PostgreSQL. The statements built on them are compiled once
(`sealift.registry.catalog.database.Query`); there is no ORM.

Conventions:

* A time is an integer: microseconds since 1970-01-01T00:00:00Z, in a column
  that ends in ``_at``.
* A digest is text as written on the wire, such as ``sha256:<hex>``.
* An id is never used again (``AUTOINCREMENT``): rights hang on ids, so that a
  name which is removed and added again inherits nothing.
* Text that is sorted is sorted by its bytes, on every database.
* Foreign keys are the last line: a tag cannot name a manifest that is not
  there, nor a link a blob, whatever the code above does.

Before the first release the first revision is edited in place; from then on a
change here comes with a revision in ``migrations/versions`` and a new `HEAD`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)

HEAD = "0001"
"""The revision that this code works with."""

REVISIONS = ("0001",)
"""Every revision this code can start from, oldest first; the last is `HEAD`."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER is a rowid there
_SORTED = Text().with_variant(Text(collation="C"), "postgresql")  # SQLite compares bytes by itself

# ------------------------------------------------------------------ who

principal = Table(
    "principal",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", _SORTED, nullable=False, unique=True),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('account', 'machine', 'group')", name="kind"),
    sqlite_autoincrement=True,
)
"""Everyone who can hold rights: accounts now, machine credentials and groups later.

They share one set of names, so the name stands here and is unique here. A token
names `id` and `generation`; raising `generation` ends every token issued before.
"""

account = Table(
    "account",
    METADATA,
    Column("id", _ID, ForeignKey("principal.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("password_hash", Text, nullable=False),
    Column("is_admin", Boolean, nullable=False, server_default=false()),
    Column("quota_bytes", BigInteger),
)
"""What an account has beyond its `principal` row of the same id.

`quota_bytes` is the most that its repositories may hold, NULL is as much as there is room
for. How much they hold stands nowhere: every push would have to wait for that row.
"""

grant = Table(
    "grant_",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("principal_id", _ID, ForeignKey("principal.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("pattern", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Actions (comma-joined, sorted: ``delete,pull,push``) on the repositories that a pattern names."""

signing_key = Table(
    "signing_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("private_pem", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
)
"""The keys that sign registry tokens. A retired one verifies until its tokens have ended."""

setting = Table(
    "setting",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about this registry that outlive a restart, such as its own id."""

audit = Table(
    "audit",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("principal_id", BigInteger),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("repository", Text),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=text("''")),
    Column("request_id", Text),
    Column("client", Text),
    sqlite_autoincrement=True,
)
"""Who did what and whether it was allowed. It names no row by foreign key: it outlives them all."""

# ------------------------------------------------------------------ what

repository = Table(
    "repository",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", _SORTED, nullable=False, unique=True),
    Column("visibility", Text, nullable=False, server_default=text("'private'")),
    Column("owner_id", BigInteger, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("visibility IN ('private', 'public')", name="visibility"),
    Index(
        "ix_repository_public",
        "name",
        sqlite_where=text("visibility = 'public'"),
        postgresql_where=text("visibility = 'public'"),
    ),
    sqlite_autoincrement=True,
)
"""A name under which manifests and blobs are kept, such as ``apps/internal-app``.

`owner_id` is the account that was called like the first path element when the
repository was made, or NULL: ownership hangs on the id, so that an account which
is removed and added again under its old name owns nothing of the old one.
"""

blob = Table(
    "blob",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Bytes that the blob store was seen to hold, whole and synced, before this row was written."""

blob_link = Table(
    "blob_link",
    METADATA,
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, ForeignKey("blob.digest"), primary_key=True, index=True),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""That a repository has a blob. This row, and nothing else, lets the blob be read or mounted."""

manifest = Table(
    "manifest",
    METADATA,
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subject_digest", Text),
    Column("artifact_type", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("pushed_by", Text, nullable=False),
)
"""A manifest or an index, with the bytes that were pushed.

`artifact_type` is what a referrers list shows: the manifest's own, else the
media type of its config; NULL for an index that says none.
"""

Index(
    "ix_manifest_subject",
    manifest.c.repository_id,
    manifest.c.subject_digest,
    manifest.c.digest,
    sqlite_where=manifest.c.subject_digest.is_not(None),
    postgresql_where=manifest.c.subject_digest.is_not(None),
)

manifest_reference = Table(
    "manifest_reference",
    METADATA,
    Column("repository_id", _ID, primary_key=True),
    Column("manifest_digest", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    ForeignKeyConstraint(
        ["repository_id", "manifest_digest"],
        ["manifest.repository_id", "manifest.digest"],
        ondelete="CASCADE",
    ),
    CheckConstraint("kind IN ('config', 'layer', 'foreign', 'manifest')", name="kind"),
    Index("ix_manifest_reference_digest", "repository_id", "digest"),
    sqlite_with_rowid=False,
)
"""What a manifest needs, so that "who needs this" is a question for an index.

``foreign`` is a layer that need not be here; a subject is no need and stands in
`manifest` only.
"""

tag = Table(
    "tag",
    METADATA,
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True),
    Column("name", _SORTED, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Text, nullable=False),
    ForeignKeyConstraint(["repository_id", "digest"], ["manifest.repository_id", "manifest.digest"]),
    Index("ix_tag_digest", "repository_id", "digest"),
    sqlite_with_rowid=False,
)
"""Which manifest a name stands for now."""

tag_history = Table(
    "tag_history",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), nullable=False),
    Column("name", _SORTED, nullable=False),
    Column("old_digest", Text),
    Column("new_digest", Text),
    Column("at", BigInteger, nullable=False),
    Column("principal_id", BigInteger),
    Column("principal", Text, nullable=False),
    Column("address", Text),
    Index("ix_tag_history_name", "repository_id", "name", "id"),
    Index("ix_tag_history_repository", "repository_id", "id"),
    sqlite_autoincrement=True,
)
"""Every move of a tag: who, when, from where, from which digest to which. NULL is "no tag"."""

tag_rule = Table(
    "tag_rule",
    METADATA,
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("pattern", Text, primary_key=True),
    CheckConstraint("kind IN ('immutable', 'except')", name="kind"),
    sqlite_with_rowid=False,
)
"""Which tags of a repository must not be moved or deleted: patterns, and exceptions from them."""

upload = Table(
    "upload",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("principal_id", BigInteger, index=True),
    Column("started_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""A blob on its way in. It belongs to the repository and the principal that began it.

How many bytes have arrived is what the file says, and it alone: a number here
could disagree with it after a crash.
"""

# ------------------------------------------------------------------ what may go
#
# The queues of the collector: each row is a question that is asked once it has
# stood there for the grace. `since` is when it was put there, or put there again.

deleted_manifest = Table(
    "deleted_manifest",
    METADATA,
    Column("repository_id", _ID, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("pushed_by", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("deleted_at", BigInteger, nullable=False, index=True),
    Column("deleted_by", Text, nullable=False),
)
"""A manifest that was deleted, as it was, with the tags that went with it (joined by spaces).

It stands apart from those that are there, so that no question about them can find it by mistake.
"""

deleted_reference = Table(
    "deleted_reference",
    METADATA,
    Column("repository_id", _ID, primary_key=True),
    Column("manifest_digest", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    ForeignKeyConstraint(
        ["repository_id", "manifest_digest"],
        ["deleted_manifest.repository_id", "deleted_manifest.digest"],
        ondelete="CASCADE",
    ),
    Index("ix_deleted_reference_digest", "repository_id", "digest"),
    sqlite_with_rowid=False,
)
"""What a deleted manifest would need if it were brought back."""

link_review = Table(
    "link_review",
    METADATA,
    Column("repository_id", _ID, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("since", BigInteger, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    ForeignKeyConstraint(
        ["repository_id", "digest"], ["blob_link.repository_id", "blob_link.digest"], ondelete="CASCADE"
    ),
    sqlite_with_rowid=False,
)
"""Blobs of a repository that have to be looked at: does anything there need them?"""

blob_review = Table(
    "blob_review",
    METADATA,
    Column("digest", Text, ForeignKey("blob.digest", ondelete="CASCADE"), primary_key=True),
    Column("since", BigInteger, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Blobs that have to be looked at: does any repository have them still?"""

manifest_review = Table(
    "manifest_review",
    METADATA,
    Column("repository_id", _ID, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("since", BigInteger, nullable=False, index=True),
    ForeignKeyConstraint(
        ["repository_id", "digest"], ["manifest.repository_id", "manifest.digest"], ondelete="CASCADE"
    ),
    sqlite_with_rowid=False,
)
"""Manifests that a tag has left. They stay, unless the operator wants untagged ones collected."""
