"""A hash that knows how far it has come."""

import hashlib

from sealift.image.digest import Digest


class RunningHash:
    """A hash of the first `size` bytes of something.

    It lives in the process that made it: no state of it is stored or sent
    (the class of CVE-2026-32590). Who lacks it reads the bytes again.
    """

    __slots__ = ("_hash", "algorithm", "size")

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size = 0
        self._hash = hashlib.new(algorithm)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        """The digest of what was taken so far."""
        return Digest(self.algorithm, self._hash.hexdigest())
