"""What a management route raises when the answer is no."""

from collections.abc import Mapping

from sealift.errors import SealiftError


class ManagementRefusal(SealiftError):
    """The management API says no. It travels in the registry's own envelope (R-OCI-28).

    Attributes:
        status: The HTTP status.
        code: A word for programs, such as ``NOT_FOUND``.
        headers: Headers the answer carries besides, such as the ``Allow`` of a 405.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, why=why, hint=hint)
        self.status = status
        self.code = code
        self.headers: dict[str, str] = dict(headers or {})


def not_found(what: str) -> ManagementRefusal:
    """The thing is not there, or not for the caller: nobody can tell which."""
    return ManagementRefusal(404, "NOT_FOUND", f"there is no {what}")


def admins_only(what: str) -> ManagementRefusal:
    """The caller is an account, and this takes an admin."""
    return ManagementRefusal(403, "DENIED", f"{what} is for admins")
