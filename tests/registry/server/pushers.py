"""Clients that push without a pause, each with a book of what it was told.

They speak plain HTTP of their own, so that what was sent and what was answered
is known exactly. What a request may change is written into the book before it
is sent, and what it has changed once it is answered: whatever a server that was
killed in between has made of it is then one of the things that the book allows.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from random import Random
from urllib.parse import urlsplit

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

PATIENCE_SECONDS = 60.0

TAGS = ("v1", "v2", "latest")


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Blob:
    """Some content, which is made again wherever it is wanted: a night's worth of it fits no memory."""

    number: int
    size: int

    @property
    def content(self) -> bytes:
        return Random(self.number).randbytes(self.size)

    @cached_property
    def digest(self) -> str:
        return digest_of(self.content)


@dataclass(frozen=True)
class Document:
    """A manifest or an index."""

    media_type: str
    body: bytes

    @cached_property
    def digest(self) -> str:
        return digest_of(self.body)


@dataclass
class Upload:
    """An upload that has begun and was not finished, as its client sees it."""

    path: str
    blob: Blob
    kept: int = 0
    """Bytes that an answer said are there."""
    sent: int = 0
    """Bytes that were handed to the network."""
    finishing: bool = False
    """Whether the request that closes it was sent."""


@dataclass
class Book:
    """What a client knows of its repository."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    """Answered 201."""
    perhaps: dict[str, Blob] = field(default_factory=dict)
    """Asked for, and not answered: to be there or not to be there."""
    gone: set[str] = field(default_factory=set)
    """Deleted, answered 202."""
    documents: dict[str, Document] = field(default_factory=dict)
    perhaps_documents: dict[str, Document] = field(default_factory=dict)
    tags: dict[str, set[str | None]] = field(default_factory=dict)
    """What each tag may stand for; None is nothing. One thing only, once all was answered."""
    uploads: list[Upload] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    """Digests to look at after the next start."""


@dataclass
class Sent:
    """A request that has no answer yet."""

    what: str
    whole: bool = False
    """Whether all of it was sent: then it is the commit that is in flight, and before, the upload."""


class ServerGone(Exception):
    """The connection ended."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A connection that is kept, with the request on it that waits for its answer."""

    def __init__(self, address: tuple[str, int], token: str, step: Callable[[], None]) -> None:
        self._connection = HTTPConnection(*address, timeout=PATIENCE_SECONDS)
        self._token = token
        self._step = step
        self.sent: Sent | None = None

    def close(self) -> None:
        self._connection.close()

    def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        chunked: bool = False,
        passing: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """Send a request piece by piece, and read the whole answer.

        Where it is `chunked` no length is sent, as by a client that streams;
        `passing` is told how many bytes of the body are about to go out.
        """
        try:
            self._connection.putrequest(method, target)
            self._connection.putheader("Authorization", f"Bearer {self._token}")
            for name, value in (headers or {}).items():
                self._connection.putheader(name, value)
            if chunked:
                self._connection.putheader("Transfer-Encoding", "chunked")
            elif body or method not in {"GET", "HEAD", "DELETE"}:
                self._connection.putheader("Content-Length", str(len(body)))
            self._connection.endheaders()
            self.sent = Sent(f"{method} {target.partition('?')[0].split('/')[4]}")
            self._step()
            for piece in pieces(body):
                passing(len(piece))
                self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                self._step()
            if chunked:
                self._connection.send(b"0\r\n\r\n")
            self.sent.whole = True
            response = self._connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, named, response.read())
        except (OSError, HTTPException) as ended:
            raise ServerGone(f"{method} {target}: {ended!r}") from ended
        self.sent = None
        self._step()
        return answer


def pieces(body: bytes) -> Iterator[bytes]:
    """A body in four pieces, or fewer for a small one."""
    length = max(1024, -(-len(body) // 4))
    for start in range(0, len(body), length):
        yield body[start : start + length]


class Pusher:
    """One client. It owns a repository; others mount from it."""

    def __init__(self, name: str, random: Random, shared: list[Blob]) -> None:
        self.repository = name
        self.book = Book()
        self.others: list[Pusher] = []
        self._random = random
        self._shared = shared
        self.line: Line | None = None
        self.answered = 0

    # ------------------------------------------------------------------ what goes on until the server dies

    def push_until_gone(self, line: Line, over: threading.Event) -> None:
        """Push image after image on `line`.

        Raises:
            ServerGone: It ended, and nobody had ended it.
        """
        self.line = line
        try:
            while True:
                self._push_something()
        except ServerGone:
            if not over.is_set():
                raise
        finally:
            line.close()

    def push_shared(self, line: Line) -> None:
        """What others may mount."""
        self.line = line
        for blob in self._shared:
            self._push_blob(blob, self._post)

    def push_image(self, line: Line) -> None:
        """One image by every way of pushing, in an order that is always the same; its tag moves.

        Raises:
            ServerGone: It ended.
        """
        self.line = line
        config, by_chunks, by_stream = (self._new_blob(most) for most in (2_000, 50_000, 1_500_000))
        self._push_blob(by_chunks, self._chunks)
        self._push_blob(by_stream, self._stream)
        self._push_blob(config, self._post)
        self._push_blob(by_chunks, self._stream)  # its bytes are there
        for blob in self._shared:
            self._push_blob(blob, self._mount)
        image = self._manifest(config, [by_chunks, by_stream, *self._shared])
        self._put_document_as(image, "latest", {"latest"})

    def _push_something(self) -> None:
        roll = self._random.random()
        if roll < 0.70:
            self._put_document(self._image())
        elif roll < 0.80 and len(self.book.documents) >= 2:
            self._put_document(self._index())
        elif roll < 0.87 and self.book.documents:
            self._put_document(self._random.choice(list(self.book.documents.values())))  # a tag moves
        elif roll < 0.90:
            self._delete_tag()
        elif roll < 0.93:
            self._delete_image()
        elif roll < 0.96:
            self._delete_blob()
        else:
            self._begin_and_leave()

    def _image(self) -> Document:
        config, *layers = [self._new_blob(2_000)]
        for _ in range(self._random.randint(1, 3)):
            layers.append(
                self._random.choice(self._shared)
                if self._random.random() < 0.4
                else self._new_blob(self._random.choice((3_000, 60_000, 300_000, 1_500_000)))
            )
        for blob in (config, *layers):
            self._push_blob(blob)
        return self._manifest(config, layers)

    @staticmethod
    def _manifest(config: Blob, layers: list[Blob]) -> Document:
        return Document(
            OCI_MANIFEST,
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
                    "layers": [
                        {"mediaType": OCI_LAYER, "digest": blob.digest, "size": blob.size} for blob in layers
                    ],
                }
            ).encode(),
        )

    def _index(self) -> Document:
        children = self._random.sample(list(self.book.documents.values()), 2)
        return Document(
            OCI_INDEX,
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_INDEX,
                    "manifests": [
                        {"mediaType": each.media_type, "digest": each.digest, "size": len(each.body)}
                        for each in children
                    ],
                }
            ).encode(),
        )

    def _new_blob(self, most: int) -> Blob:
        return Blob(self._random.getrandbits(64), self._random.randint(2, most))

    # ------------------------------------------------------------------ blobs

    def _push_blob(self, blob: Blob, way: Callable[[Blob], None] | None = None) -> None:
        """By one of all the ways there are. What is there already may be pushed again."""
        self._expect_blob(blob)
        way = way or self._random.choice((self._post, self._stream, self._chunks, self._mount))
        way(blob)
        self._has_blob(blob)

    def _expect_blob(self, blob: Blob) -> None:
        self.book.fresh.add(blob.digest)
        if blob.digest not in self.book.blobs:
            self.book.perhaps[blob.digest] = blob
            self.book.gone.discard(blob.digest)

    def _has_blob(self, blob: Blob) -> None:
        self.book.perhaps.pop(blob.digest, None)
        self.book.blobs[blob.digest] = blob

    def _post(self, blob: Blob) -> None:
        """All of it in one request."""
        self._ask("POST", f"blobs/uploads/?digest={blob.digest}", 201, blob.content)

    def _stream(self, blob: Blob) -> None:
        """One PATCH without a length, and a PUT."""
        upload = self._begin(blob)
        self._patch(upload, blob.size, chunked=True)
        self._finish(upload)

    def _chunks(self, blob: Blob) -> None:
        """Several PATCH of a stated range, and the last piece with the PUT."""
        upload = self._begin(blob)
        for stop in sorted({blob.size // 3, blob.size // 2} - {0}):
            self._patch(upload, stop)
        self._finish(upload)

    def _mount(self, blob: Blob) -> None:
        """From a repository that has it; where none has, the upload that began instead goes on."""
        owners = [each.repository for each in self.others if blob.digest in each.book.blobs]
        source = f"&from={self._random.choice(owners)}" if owners else ""
        answer = self._ask("POST", f"blobs/uploads/?mount={blob.digest}{source}", {201, 202})
        if answer.status == 202:
            self._finish(self._opened(answer, blob))

    def _begin(self, blob: Blob) -> Upload:
        return self._opened(self._ask("POST", "blobs/uploads/", 202), blob)

    def _opened(self, answer: Answer, blob: Blob) -> Upload:
        upload = Upload(urlsplit(answer.headers["location"]).path, blob)
        self.book.uploads.append(upload)
        return upload

    def _patch(self, upload: Upload, stop: int, *, chunked: bool = False) -> None:
        part = upload.blob.content[upload.kept : stop]
        ranged = {} if chunked else {"Content-Range": f"{upload.kept}-{stop - 1}"}
        self._ask("PATCH", upload.path, 202, part, ranged, chunked=chunked, passing=_counted(upload))
        upload.kept = stop

    def _finish(self, upload: Upload) -> None:
        rest = upload.blob.content[upload.kept :]
        upload.finishing = True
        target = f"{upload.path}?digest={upload.blob.digest}"
        self._ask("PUT", target, 201, rest, passing=_counted(upload))
        self.book.uploads.remove(upload)

    def _begin_and_leave(self) -> None:
        """An upload that somebody else goes on with, or nobody."""
        upload = self._begin(self._new_blob(60_000))
        self._patch(upload, max(1, upload.blob.size // 2))

    def _delete_blob(self) -> None:
        """Push one that no manifest needs, and take it away again."""
        blob = self._new_blob(20_000)
        self._push_blob(blob)
        del self.book.blobs[blob.digest]
        self.book.perhaps[blob.digest] = blob
        self._ask("DELETE", f"blobs/{blob.digest}", 202)
        del self.book.perhaps[blob.digest]
        self.book.gone.add(blob.digest)

    # ------------------------------------------------------------------ manifests and tags

    def _put_document(self, document: Document) -> None:
        """By its digest, by a tag, or by its digest with tags beside it."""
        digest, tag = document.digest, self._random.choice(TAGS)
        ways: list[tuple[str, set[str]]] = [
            (tag, {tag}),
            (digest, set()),
            (f"{digest}?tag={tag}&tag=also", {tag, "also"}),
        ]
        self._put_document_as(document, *self._random.choice(ways))

    def _put_document_as(self, document: Document, target: str, tags: set[str]) -> None:
        digest = document.digest
        self.book.fresh.add(digest)
        if digest not in self.book.documents:
            self.book.perhaps_documents[digest] = document
            self.book.gone.discard(digest)
        for each in tags:
            self.book.tags.setdefault(each, {None}).add(digest)
        headers = {"Content-Type": document.media_type}
        self._ask("PUT", f"manifests/{target}", 201, document.body, headers)
        self.book.perhaps_documents.pop(digest, None)
        self.book.documents[digest] = document
        for each in tags:
            self.book.tags[each] = {digest}

    def _delete_tag(self) -> None:
        standing = [tag for tag, may in self.book.tags.items() if None not in may]
        if not standing:
            return
        tag = self._random.choice(standing)
        self.book.tags[tag].add(None)
        self._ask("DELETE", f"manifests/{tag}", 202)
        self.book.tags[tag] = {None}

    def _delete_image(self) -> None:
        """With every tag that stands for it; one that an index lists stays."""
        if not self.book.documents:
            return
        document = self._random.choice(list(self.book.documents.values()))
        digest = document.digest
        stood = [tag for tag, may in self.book.tags.items() if may == {digest}]
        for tag in stood:
            self.book.tags[tag].add(None)
        del self.book.documents[digest]
        self.book.perhaps_documents[digest] = document
        self.book.fresh.add(digest)
        answer = self._ask("DELETE", f"manifests/{digest}", {202, 405})
        del self.book.perhaps_documents[digest]
        if answer.status == 405:
            self.book.documents[digest] = document
        else:
            self.book.gone.add(digest)
        for tag in stood:
            self.book.tags[tag] = {digest if answer.status == 405 else None}

    # ------------------------------------------------------------------ after a start

    def look_at_everything(self, line: Line, *, all_of_it: bool = False) -> None:
        """Hold the server against the book, and the book against what it has made of open requests."""
        self.line = line
        book = self.book
        wanted = None if all_of_it else book.fresh
        for digest, blob in list(book.perhaps.items()):
            if self._look("blobs", digest) == 200:
                book.blobs[digest] = blob
        for digest, document in list(book.perhaps_documents.items()):
            if self._look("manifests", digest) == 200:
                book.documents[digest] = document
        book.perhaps.clear()
        book.perhaps_documents.clear()
        for digest, blob in book.blobs.items():
            if wanted is None or digest in wanted:
                assert self._get(f"blobs/{digest}") == blob.content, digest
        for digest, document in book.documents.items():
            if wanted is None or digest in wanted:
                assert self._get(f"manifests/{digest}") == document.body
        for digest in book.gone if wanted is None else book.gone & wanted:
            assert self._look("manifests", digest) == self._look("blobs", digest) == 404, digest
        for tag, may in book.tags.items():
            found = self._resolve(tag)
            assert found in may, (self.repository, tag, found, may)
            book.tags[tag] = {found}
        listed = json.loads(self._get("tags/list"))["tags"] if book.blobs else []
        assert sorted(listed) == sorted(tag for tag, may in book.tags.items() if may != {None})
        book.fresh.clear()

    def _resolve(self, tag: str) -> str | None:
        """The digest of what a tag stands for, all of which is there, byte for byte."""
        answer = self._ask("GET", f"manifests/{tag}", {200, 404})
        if answer.status == 404:
            return None
        digest = digest_of(answer.body)
        assert answer.headers["docker-content-digest"] == digest
        self._see_whole(answer.body)
        return digest

    def _see_whole(self, body: bytes) -> None:
        document = json.loads(body)
        for child in document.get("manifests", ()):
            found = self._get(f"manifests/{child['digest']}")
            assert digest_of(found) == child["digest"]
            self._see_whole(found)
        if "layers" in document:
            for part in (document["config"], *document["layers"]):
                found = self._get(f"blobs/{part['digest']}")
                assert (digest_of(found), len(found)) == (part["digest"], part["size"])

    def go_on_with_uploads(self, line: Line, *, leave: float) -> tuple[int, int]:
        """Each upload that was interrupted goes on where the server says, or begins anew.

        The part `leave` of them is left to the sweep. Returns how many went on, and how many began anew.
        """
        self.line = line
        resumed = anew = 0
        left = []
        for upload in self.book.uploads.copy():
            if not upload.finishing and self._random.random() < leave:
                left.append(upload)
                continue
            status = self._ask("GET", upload.path, {204, 404})
            self._expect_blob(upload.blob)
            if status.status == 204:
                resumed += 1
                self._resume(upload, int(status.headers["range"].removeprefix("0-")) + 1)
            else:
                assert upload.finishing, f"{upload.path} was begun, and is not there"
                anew += 1
                self._stream(upload.blob)
            self._has_blob(upload.blob)
            assert self._get(f"blobs/{upload.blob.digest}") == upload.blob.content
        self.book.uploads = left
        return resumed, anew

    def _resume(self, upload: Upload, stands: int) -> None:
        """Send what is missing, from where the server says it stands."""
        blob = upload.blob
        if stands == 1 and upload.kept == 0:  # none and one look alike (R-OCI-8): the refusal says which
            ranged = {"Content-Range": "0-0"}
            answer = self._ask("PATCH", upload.path, {202, 416}, blob.content[:1], ranged)
            stands = 1
            if answer.status == 416:
                assert json.loads(answer.body)["errors"][0]["detail"] == {"received": 1}
                assert upload.sent >= 1
        else:
            assert upload.kept <= stands <= upload.sent, upload
        upload.kept = stands
        if stands < blob.size:
            self._patch(upload, (stands + blob.size + 1) // 2)
        self._finish(upload)

    def _look(self, kind: str, digest: str) -> int:
        return self._ask("GET", f"{kind}/{digest}", {200, 404}).status

    def _get(self, target: str) -> bytes:
        return self._ask("GET", target, 200).body

    def _ask(
        self,
        method: str,
        target: str,
        wanted: int | set[int],
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        chunked: bool = False,
        passing: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """Ask in this client's repository, for a path in it or a whole one."""
        assert self.line is not None
        path = target if target.startswith("/") else f"/v2/{self.repository}/{target}"
        answer = self.line.ask(method, path, body, headers, chunked=chunked, passing=passing)
        allowed = {wanted} if isinstance(wanted, int) else wanted
        assert answer.status in allowed, (method, path, answer)
        self.answered += 1
        return answer


def _counted(upload: Upload) -> Callable[[int], None]:
    def passing(size: int) -> None:
        upload.sent += size

    return passing
