"""What a handler raises when the answer is an error of the registry protocol."""

from collections.abc import Mapping
from typing import Any

from sealift.errors import SealiftError
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.blob_store.blob_store import BlobDamaged, StorageRefused
from sealift.registry.settings import Limits


class RegistryRefusal(SealiftError):
    """The registry says no, in the protocol's words.

    The door turns it into a status and the JSON error envelope.

    Attributes:
        code: What kind of no; it decides the status unless `status` is given.
        detail: Machine-readable particulars for the envelope, an empty object
            where there are none: docker, podman and skopeo drop the message of
            an error without a detail, and docker repeats a push for a minute.
        headers: Headers the answer carries besides, such as the ``Range`` of a 416.
        status: The HTTP status where it is not the one that `code` usually has.

    Spec: distribution-spec v1.1.1, "Error Codes"; R-OCI-28, R-OCI-29.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        detail: Any = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.detail: Any = {} if detail is None else detail
        self.headers: dict[str, str] = dict(headers or {})
        self.status: int = code.status if status is None else status


def refuse_long_name(repository: str, limits: Limits) -> None:
    """See that a repository that may be about to be made has a name of a length that is let in.

    Raises:
        RegistryRefusal: NAME_INVALID.
    """
    most = limits.repository_name_characters
    if len(repository) > most:
        raise RegistryRefusal(
            ErrorCode.NAME_INVALID,
            f"the name of a repository has at most {most} characters here",
            detail={"name": repository, "most": most},
        )


def storage_refusal(refused: StorageRefused) -> RegistryRefusal:
    """What a client is told when the disk would not take its bytes.

    A full disk is a 507: clients print its name, "Insufficient Storage".
    """
    status = 507 if refused.is_full else 503
    return RegistryRefusal(
        ErrorCode.UNAVAILABLE,
        f"{refused}; nothing of this request was kept that could be mistaken for whole",
        headers={"retry-after": "30"},
        status=status,
    )


def damage_refusal(damaged: BlobDamaged) -> RegistryRefusal:
    """What a client is told when the store does not hold what it should."""
    return RegistryRefusal(
        ErrorCode.UNKNOWN,
        f"{damaged}; {damaged.hint}",
        detail={"digest": str(damaged.digest)},
        status=500,
    )
