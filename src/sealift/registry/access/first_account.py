"""The first account: ``admin``, with a random password in a file that only its owner can read.

There is no default password. The file goes when the password is changed.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from sealift.credentials.credential import SecretText
from sealift.registry.access.passwords import hash_password
from sealift.registry.catalog.accounts import add_account
from sealift.registry.catalog.database import Catalog, Query
from sealift.registry.catalog.schema import account
from sealift.registry.data_directory import directory_refused, sync_names

ADMIN: Final = "admin"

FILE_NAME: Final = "admin-password"
"""In the data directory. Mode 0600, one line."""

PASSWORD_BYTES: Final = 24
"""Of randomness: 192 bits."""

_HOW_MANY = Query(select(func.count()).select_from(account))


def password_file(data: Path) -> Path:
    """Where the first password is, until it is changed."""
    return data / FILE_NAME


def ensure_first_account(catalog: Catalog, data: Path) -> bool:
    """Make the account ``admin`` if there is no account at all, and say whether it was made.

    The file is written first: a crash in between leaves a file that the next
    start writes again, never an account that nobody can log in to.

    Raises:
        DataDirectoryRefused: The file cannot be written.
        CatalogFailed: The account cannot.
    """
    row = catalog.first(_HOW_MANY)
    if row is not None and row[0]:
        return False
    password = SecretText(secrets.token_urlsafe(PASSWORD_BYTES))
    _write_private(password_file(data), password)
    hashed = hash_password(password)
    catalog.write_now(
        lambda transaction: add_account(
            transaction, name=ADMIN, password_hash=hashed, is_admin=True, now=catalog.now()
        )
    )
    return True


def forget_first_password(data: Path, name: str) -> None:
    """Remove the file if `name` is the account it is for: its password has changed."""
    if name == ADMIN:
        password_file(data).unlink(missing_ok=True)


def _write_private(path: Path, password: SecretText) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(password.reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_names(path.parent)  # before the account: a power cut must not leave one without the other
    except OSError as refused:
        partial.unlink(missing_ok=True)
        raise directory_refused(path.parent, refused) from refused
