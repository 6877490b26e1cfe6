"""Upload sessions: whose they are and in which repository.

An upload is found only by its repository, its id and its principal together.
With any of the three wrong it is not there (the class of CVE-2026-32589).
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.schema import repository, upload

_FIND = Query(
    select(upload.c.repository_id, upload.c.updated_at)
    .join(repository, repository.c.id == upload.c.repository_id)
    .where(
        upload.c.id == bindparam("upload_id"),
        repository.c.name == bindparam("repository"),
        upload.c.principal_id.is_not_distinct_from(bindparam("principal_id")),
    )
)
_BEGIN = Query(insert(upload), columns=("id", "repository_id", "principal_id", "started_at", "updated_at"))
_COUNT = Query(
    select(func.count())
    .select_from(upload)
    .where(upload.c.principal_id.is_not_distinct_from(bindparam("principal_id")))
)
_TOUCH = Query(
    update(upload).where(upload.c.id == bindparam("upload_id")).values(updated_at=bindparam("now"))
)
_END = Query(delete(upload).where(upload.c.id == bindparam("upload_id")))
_IDLE = Query(select(upload.c.id).where(upload.c.updated_at < bindparam("before")))
_END_IDLE = Query(
    delete(upload).where(upload.c.id == bindparam("upload_id"), upload.c.updated_at < bindparam("before"))
)
_ALL_IDS = Query(select(upload.c.id))


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload that is the caller's own."""

    repository_id: int
    updated_at: int
    """Microseconds since 1970: when it was last added to, to within a minute."""


def find_upload(
    reader: Reader, upload_id: str, *, repository_name: str, principal_id: int | None
) -> UploadRow | None:
    """The upload, if it is in this repository and this principal's."""
    row = reader.first(_FIND, upload_id=upload_id, repository=repository_name, principal_id=principal_id)
    return None if row is None else UploadRow(*row)


def open_uploads(reader: Reader, principal_id: int | None) -> int:
    """How many uploads a principal has open, in all repositories."""
    row = reader.first(_COUNT, principal_id=principal_id)
    return 0 if row is None else int(row[0])


def begin_upload(
    transaction: Transaction, upload_id: str, *, repository_id: int, principal_id: int | None, now: int
) -> None:
    """Note a new upload."""
    transaction.run(
        _BEGIN,
        id=upload_id,
        repository_id=repository_id,
        principal_id=principal_id,
        started_at=now,
        updated_at=now,
    )


def touch_upload(transaction: Transaction, upload_id: str, *, now: int) -> None:
    """Note that something was added to an upload."""
    transaction.run(_TOUCH, upload_id=upload_id, now=now)


def end_upload(transaction: Transaction, upload_id: str) -> bool:
    """Forget an upload, and say whether it was there."""
    return transaction.run(_END, upload_id=upload_id) > 0


def idle_uploads(reader: Reader, *, before: int) -> list[str]:
    """Uploads that nothing was added to since `before`."""
    return [upload_id for (upload_id,) in reader.all(_IDLE, before=before)]


def end_idle_upload(transaction: Transaction, upload_id: str, *, before: int) -> bool:
    """Forget an upload if nothing was added to it in the meantime either."""
    return transaction.run(_END_IDLE, upload_id=upload_id, before=before) > 0


def all_uploads(reader: Reader) -> frozenset[str]:
    """The ids of all uploads."""
    return frozenset(upload_id for (upload_id,) in reader.all(_ALL_IDS))
