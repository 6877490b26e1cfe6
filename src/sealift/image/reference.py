"""Image references: the string in ``spec.containers[].image``, taken apart.

Spec: OCI distribution-spec v1.1.1, "Pulling manifests" (the grammar of
``<name>`` and of tags). What that spec leaves open, we read the way the
kubelet does, so that we never disagree with the node that pulls: no registry
means ``docker.io``, a one-word Docker Hub name lives under ``library/``.
The rules are those of distribution/reference v0.6.0 (R-REF-1 to R-REF-24).

Where this may surprise: ``localhost:5000`` is the image ``localhost`` with the
tag ``5000`` (R-REF-12); ``Example/x`` names a registry ``Example``; nothing is
trimmed; ``index.docker.io`` is Docker Hub and ``docker.io:443`` is not.
"""

import re
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, Self

from sealift.errors import SealiftError
from sealift.image import docker_hub
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.reference_grammar import MAX_PATH_LENGTH, fault_in_tag, find_fault, is_tag, split

DEFAULT_TAG: Final = "latest"

PullPolicy = Literal["Always", "IfNotPresent"]

_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)
_IMAGE_ID = re.compile(r"sha256:[a-f0-9]{64}", re.ASCII)
_MAX_SHOWN = 120
_DIGEST_START = re.compile(r"sha[0-9]+:", re.ASCII)


class MalformedReference(SealiftError):
    """The text cannot name an image.

    Attributes:
        text: The whole text, as it was given.
        position: Index into `text` of the first character that broke a rule;
            its length where it ended too early.
        rule: The rule it broke, as a phrase ("a repository is lower case").
        cause: What distribution/reference says, word for word, which is what
            the kubelet, containerd and docker show (R-REF-8 to R-REF-15).
    """

    exit_status: ClassVar[int] = 2

    def __init__(
        self,
        text: str,
        *,
        position: int,
        rule: str,
        cause: str = "invalid reference format",
        hint: str | None = None,
    ) -> None:
        where = f"at character {position + 1}" if position < len(text) else "at its end"
        super().__init__(
            f"{_shown(without_password(text))} is not an image name", why=f"{where}: {rule}", hint=hint
        )
        self.text = text
        self.position = position
        self.rule = rule
        self.cause = cause

    @property
    def kubelet_message(self) -> str:
        """What ``ParseImageName`` of the kubelet says about this text (R-REF-21)."""
        return f"couldn't parse image name {go_quoted(self.text)}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where an image lives: a registry host and a path within it.

    One that exists is canonical: its text reads back as itself.

    Raises:
        MalformedReference: By the constructor, for parts that no reference can
            name: ``Repository("docker.io", "nginx")`` is library/nginx, and a
            registry without a dot or port can only be ``localhost``.
    """

    registry: str
    """Host, with ``:port`` if the reference had one. Never a URL, never a path.
    Empty in one odd case (R-REF-17), where `dial_host` is in the path."""

    path: str
    """What distribution-spec calls ``<name>``, such as ``library/ubuntu``."""

    def __post_init__(self) -> None:
        text = str(self)
        registry, path, tag, digest = _take_apart(text)
        if (registry, path, tag, digest) != (self.registry, self.path, None, None):
            raise MalformedReference(
                text,
                position=0,
                rule=f"read as a reference this is the registry {registry!r} and the path {path!r}",
            )

    @property
    def dial_host(self) -> str:
        """The host, with port if there is one, that is contacted for this repository (R-REF-17, R-REF-25)."""
        return docker_hub.dial_host(self.registry or self.path.partition("/")[0])

    @property
    def dial_path(self) -> str:
        """What `dial_host` calls this repository: `path`, but in the odd case of R-REF-17."""
        return self.path if self.registry else self.path.partition("/")[2]

    @property
    def credential_key(self) -> str:
        """The key under which docker files the credentials for this registry."""
        return docker_hub.credential_key(self.registry or self.dial_host)

    def familiar(self) -> str:
        """The short spelling, as docker prints it: Docker Hub and ``library/`` left out (R-REF-18)."""
        if self.registry != docker_hub.DOMAIN:
            return str(self)
        short = self.path.removeprefix(f"{docker_hub.OFFICIAL_NAMESPACE}/")
        return self.path if "/" in short else short

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}" if self.registry else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A repository, and which image in it: by tag, by digest, or by both.

    Where both are given the digest decides what is pulled and the tag is only
    remembered. We keep it, because a person who reads the pod will look for it.
    ``ImageReference.parse(str(reference)) == reference`` holds for every one.
    """

    repository: Repository
    tag: str | None = None
    """As it was written. See `effective_tag` for the one that is meant."""

    digest: Digest | None = None

    def __post_init__(self) -> None:
        if self.tag is not None and not is_tag(self.tag):
            text = f"{self.repository}:{self.tag}"
            position, rule = fault_in_tag(text, len(text) - len(self.tag))
            raise MalformedReference(text, position=position, rule=rule)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as Kubernetes would (R-REF-11).

        Raises:
            MalformedReference: `text` breaks the grammar. The error says where
                and which rule; it is never a bare "invalid reference".
        """
        registry, path, tag, digest = _take_apart(text)
        return cls(repository=Repository(registry, path), tag=tag, digest=digest)

    @property
    def selector(self) -> str:
        """What to ask the registry for: the digest, else the tag, else ``latest``."""
        return str(self.digest) if self.digest is not None else self.tag or DEFAULT_TAG

    @property
    def effective_tag(self) -> str | None:
        """The tag that the kubelet sees: ``latest`` where neither tag nor digest was written (R-REF-21)."""
        return DEFAULT_TAG if self.tag is None and self.digest is None else self.tag

    def pinned_to(self, digest: Digest) -> Self:
        """The same reference, held to `digest`. The tag stays."""
        return replace(self, digest=digest)

    def for_containerd(self) -> Self:
        """What containerd makes of it: no tag beside a digest, ``latest`` without either (R-REF-20)."""
        return replace(self, tag=None if self.digest is not None else self.tag or DEFAULT_TAG)

    def familiar(self) -> str:
        """The short spelling, as docker prints it (R-REF-18)."""
        return self.repository.familiar() + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag

    def __str__(self) -> str:
        return f"{self.repository}{self._suffix()}"


def apply_default_tag(text: str) -> str:
    """What the kubelet hands to the container runtime for this image (R-REF-22).

    The user's own spelling, with ``:latest`` where neither tag nor digest is
    there. Short names stay short: which registry they mean is the runtime's
    decision.

    Raises:
        MalformedReference: It is no reference; the kubelet stops here with
            InvalidImageName.
    """
    reference = ImageReference.parse(text)
    tag = reference.effective_tag
    if reference.digest is None and tag and not text.endswith(f":{tag}"):
        return f"{text}:{tag}"
    return text


def default_pull_policy(text: str) -> PullPolicy:
    """The policy that the API server writes where a container has none (R-POL-1 to R-POL-3).

    The tag decides, also beside a digest. What cannot be parsed gets
    IfNotPresent, and fails later on the node.
    """
    try:
        tag = ImageReference.parse(text).effective_tag
    except MalformedReference:
        return "IfNotPresent"
    return "Always" if tag == DEFAULT_TAG else "IfNotPresent"


def keyring_name(reference: ImageReference) -> str:
    """The text by which the kubelet looks for credentials (R-KEY-8): no tag, no digest."""
    return str(reference.repository)


def reads_as_image_id(text: str) -> bool:
    """Whether containerd would first look for a local image of this ID (R-REF-23)."""
    return _IMAGE_ID.fullmatch(text) is not None


def go_quoted(text: str) -> str:
    """`text` as Go's ``%q`` prints it, for messages that have to read as a kubelet's."""
    return f'"{"".join(_go_escaped(character) for character in text)}"'


def _take_apart(text: str) -> tuple[str, str, str | None, Digest | None]:
    """Registry (empty in the case of R-REF-17), path, tag and digest, in the order of R-REF-11."""
    if _IDENTIFIER.fullmatch(text) is not None:
        raise MalformedReference(
            text,
            position=0,
            rule="64 hexadecimal digits alone would be the ID of an image, and IDs are not pulled",
            cause=f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings",
            hint=f"if it is the name of a repository, write library/{text}",
        )
    domain, remainder, start = _split_domain(text)
    remote = remainder.partition(":")[0]
    if _go_lower(remote) != remote:
        raise _not_lower_case(text, remote, start)
    normalised = f"{domain}/{remainder}"
    parts = split(normalised)
    if parts is None:
        raise _grammar_refusal(text, normalised, start)
    registry, path, tag, digest_text = parts
    if len(path) > MAX_PATH_LENGTH:
        end = len(registry) + bool(registry) + MAX_PATH_LENGTH
        raise MalformedReference(
            text,
            position=end - (len(normalised) - len(text)),
            rule=f"a repository path has at most {MAX_PATH_LENGTH} characters",
            cause=f"repository name must not be more than {MAX_PATH_LENGTH} characters",
        )
    return registry, path, tag, _digest(text, digest_text)


def _split_domain(text: str) -> tuple[str, str, int]:
    """The domain, what follows it, and where in `text` that begins (R-REF-12, R-REF-13).

    What follows has ``library/`` before it where that is implied.
    """
    first, slash, rest = text.partition("/")
    start = len(first) + 1
    if not slash or not (first == "localhost" or "." in first or ":" in first or _go_lower(first) != first):
        first, rest, start = docker_hub.DOMAIN, text, 0
    elif first == docker_hub.LEGACY_DOMAIN:
        first = docker_hub.DOMAIN
    if first == docker_hub.DOMAIN and "/" not in rest:
        rest = f"{docker_hub.OFFICIAL_NAMESPACE}/{rest}"
    return first, rest, start


def _digest(text: str, digest_text: str | None) -> Digest | None:
    if digest_text is None:
        return None
    try:
        return Digest.parse(digest_text)
    except MalformedDigest as refusal:
        raise MalformedReference(
            text,
            position=len(text) - len(digest_text) + refusal.position,
            rule=refusal.rule,
            cause=refusal.cause,
        ) from None


def _not_lower_case(text: str, remote: str, start: int) -> MalformedReference:
    """R-REF-11 (c). The cause quotes an implied ``library/``, too."""
    written = remote if text.startswith(remote, start) else remote.partition("/")[2]
    position = start + next(index for index, each in enumerate(written) if _go_lower(each) != each)
    mended = f"{text[:start]}{written.lower()}{text[start + len(written) :]}"
    return MalformedReference(
        text,
        position=position,
        rule="a repository is lower case",
        cause=f"invalid reference format: repository name ({remote}) must be lowercase",
        hint=f"write {mended}" if len(mended) <= _MAX_SHOWN and _is_reference(mended) else None,
    )


def _is_reference(text: str) -> bool:
    try:
        _take_apart(text)
    except MalformedReference:
        return False
    return True


def _grammar_refusal(text: str, normalised: str, start: int) -> MalformedReference:
    """R-REF-15, with the place, which upstream does not tell."""
    in_lower_case = split(_go_lower(normalised)) is not None
    position, rule = find_fault(text, start)
    return MalformedReference(
        text,
        position=position,
        rule=rule,
        cause="repository name must be lowercase" if in_lower_case else "invalid reference format",
    )


def _go_lower(text: str) -> str:
    """Lower case as Go has it: one character for one. Only this one differs in Python."""
    return text.lower() if text.isascii() else text.replace("\u0130", "i").lower()


def without_password(text: str) -> str:
    """`text` to be shown, where it names no image: what may be a login before a host is masked.

    People paste URLs. What follows the last ``@`` of an image is a digest; where it is something else,
    what stands before it may be a password.
    """
    before, at, after = text.rpartition("@")
    if not at or _DIGEST_START.match(after) is not None:
        return text
    scheme, separator, login = before.rpartition("://")
    if not separator and ":" not in login and "/" not in after:
        return text
    user, colon, _ = login.partition(":")
    return f"{scheme}{separator}{user if colon else ''}{colon}***@{after}"


def _shown(text: str) -> str:
    """`text` in one line that is safe to print, cut where it is very long."""
    return ascii(text) if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]!a}…"


_GO_ESCAPES: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def _go_escaped(character: str) -> str:
    code = ord(character)
    if character in _GO_ESCAPES:
        return _GO_ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - how Python holds a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - any other surrogate: decoders in Go put this instead
        return "\ufffd"
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:  # noqa: PLR2004 - ASCII control characters
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane
