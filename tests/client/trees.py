"""File trees as CNCF Distribution writes them, for tests: every part can be damaged by its path."""

from dataclasses import dataclass
from pathlib import Path

from tests.client.images import Sample

from sealift.image.digest import Digest
from sealift.image.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree. `root` is what Distribution calls its root directory."""

    root: Path

    @property
    def inner(self) -> Path:
        """Where the two halves are."""
        return self.root / "docker" / "registry" / "v2"

    def keep(self, name: str, sample: Sample, *tags: str, algorithm: str = "sha256") -> Digest:
        """An image with all its parts; its manifests are called by `algorithm`, and the root is returned."""
        for digest, data in sample.blobs.items():
            self.blob(name, digest, data)
        for manifest in (*sample.manifests, sample.root):
            self.manifest(name, manifest, algorithm=algorithm)
        root = Digest.of(sample.root.body, algorithm)
        for tag in tags:
            self.write(self.tag(name, tag), f"{root}".encode())
        return root

    def manifest(self, name: str, manifest: Manifest, *, algorithm: str = "sha256") -> Digest:
        """One manifest, without what it refers to."""
        digest = Digest.of(manifest.body, algorithm)
        self.write(self.data(digest), manifest.body)
        self.write(self.revision(name, digest), f"{digest}".encode())
        return digest

    def blob(self, name: str, digest: Digest, data: bytes) -> None:
        """One blob of a repository."""
        self.write(self.data(digest), data)
        self.write(self.layer(name, digest), f"{digest}".encode())

    def repository(self, name: str) -> Path:
        return self.inner / "repositories" / name

    def data(self, digest: Digest) -> Path:
        return self.inner / "blobs" / digest.algorithm / digest.encoded[:2] / digest.encoded / "data"

    def revision(self, name: str, digest: Digest) -> Path:
        place = self.repository(name) / "_manifests" / "revisions"
        return place / digest.algorithm / digest.encoded / "link"

    def layer(self, name: str, digest: Digest) -> Path:
        return self.repository(name) / "_layers" / digest.algorithm / digest.encoded / "link"

    def tag(self, name: str, tag: str) -> Path:
        return self.repository(name) / "_manifests" / "tags" / tag / "current" / "link"

    @staticmethod
    def write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
