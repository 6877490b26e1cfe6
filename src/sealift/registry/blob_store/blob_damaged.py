"""What is raised where stored bytes are not what they were."""

from typing import ClassVar

from sealift.errors import SealiftError
from sealift.image.digest import Digest


class BlobDamaged(SealiftError):
    """What is stored is not what it should be: it is missing, of another length, or has other bytes.

    Attributes:
        digest: Which content.
        expected: Bytes it has by the catalog.
        found: Bytes there are, or None where there is nothing. As many as
            expected means that they are other ones.
        kind: ``blob`` or ``manifest``.
    """

    exit_status: ClassVar[int] = 7

    def __init__(self, digest: Digest, *, expected: int, found: int | None, kind: str = "blob") -> None:
        if found is None:
            there = f"is missing, and it should have {expected} bytes"
        elif found == expected:
            there = "is damaged: its bytes have another digest"
        else:
            there = f"has {found} bytes, and it should have {expected} bytes"
        super().__init__(
            f"the stored {kind} {digest} {there}",
            hint="push an image that holds it again: that puts it right",
        )
        self.digest = digest
        self.expected = expected
        self.found = found
        self.kind = kind
