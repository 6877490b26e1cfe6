"""The Pods, Secrets and ServiceAccounts of some manifests.

Every kind that holds a Pod template is read, and Lists are flattened. Other
kinds are counted, so that a report can say what it did not look at. A field of
the wrong type is an error with its place: the API server would refuse it too.

Spec: R-ADM-14, R-SEC-1, R-KEY-24; Kubernetes API 1.36, the kinds in `TEMPLATES`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sealift.credentials import go_base64
from sealift.kubernetes.manifests import Document, Node, UnreadableManifest
from sealift.kubernetes.objects import (
    DEFAULT_NAMESPACE,
    DEFAULT_SERVICE_ACCOUNT,
    ImageUse,
    Place,
    Pod,
    Secret,
    ServiceAccount,
)
from sealift.transport.redaction import printable

TEMPLATES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): ("spec",),
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    **{
        (group, kind): ("spec", "template", "spec")
        for group in ("apps", "extensions")
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
    },
    ("batch", "Job"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where the Pod spec is, by API group and kind."""

_KNOWN_KINDS: Final = frozenset(kind.lower() for _, kind in TEMPLATES) | {"secret", "serviceaccount"}
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_MAX_LIST_DEPTH: Final = 8
"""Lists in Lists. kubectl prints one; nobody needs more than a few."""

_TYPE_NAMES: Final[Mapping[type, str]] = {
    dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number",
    type(None): "nothing",
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Inventory:
    """What some manifests hold.

    Of two Secrets or ServiceAccounts with one name the later counts, as with
    ``kubectl apply``. Pods are all kept: whoever has two of a name wants to know of both.
    """

    pods: list[Pod] = field(default_factory=list)
    secrets: dict[tuple[str, str], Secret] = field(default_factory=dict)
    """By namespace and name."""

    service_accounts: dict[tuple[str, str], ServiceAccount] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    """Objects of other kinds, by kind."""


def take_inventory(documents: Iterable[Document], *, namespace: str = DEFAULT_NAMESPACE) -> Inventory:
    """Sort the objects of `documents`.

    Args:
        documents: From any number of files, in order.
        namespace: Where an object goes that names none.

    Raises:
        UnreadableManifest: An object has no kind, or a field of the wrong type.
    """
    found = Inventory()
    for document in documents:
        for each in _flatten(_View(document, document.root, ""), _NO_TYPE, 0):
            _sort(each, found, namespace)
    return found


class _Type(NamedTuple):
    """What an object is. A typed list gives both to items that have none."""

    version: str
    kind: str


_NO_TYPE: Final = _Type("", "")


class _Identity(NamedTuple):
    """What every object has."""

    namespace: str
    name: str
    uid: str


class _View:
    """A value with its path, and typed access to what is in it."""

    __slots__ = ("document", "node", "path")

    def __init__(self, document: Document, node: Node, path: str) -> None:
        self.document = document
        self.node = node
        self.path = path

    @property
    def place(self) -> Place:
        return self.document.place(self.node)

    def get(self, key: str) -> "_View | None":
        """The member `key`, or None where it is absent or null. This must be a mapping."""
        if not isinstance(self.node.value, dict):
            raise self.wrong("a mapping")
        node = self.node.value.get(key)
        if node is None or node.value is None:
            return None
        return _View(self.document, node, f"{self.path}.{key}" if self.path else key)

    def dig(self, *keys: str) -> "_View | None":
        """The value at the end of a path of mappings."""
        here: _View | None = self
        for key in keys:
            here = here.get(key) if here is not None else None
        return here

    def items(self, key: str) -> Iterator["_View"]:
        """The items of a list, with their index in the path. An absent list has none."""
        found = self.get(key)
        if found is None:
            return
        if not isinstance(found.node.value, list):
            raise found.wrong("a list")
        for index, node in enumerate(found.node.value):
            yield _View(self.document, node, f"{found.path}[{index}]")

    def members(self, key: str) -> Iterator[tuple[str, "_View"]]:
        """The members of a mapping. An absent one has none."""
        found = self.get(key)
        if found is None:
            return
        if not isinstance(found.node.value, dict):
            raise found.wrong("a mapping")
        for name, node in found.node.value.items():
            yield name, _View(self.document, node, f"{found.path}[{name}]")

    def text(self, key: str) -> str:
        """A member that is text; empty where it is absent or null."""
        found = self.get(key)
        return "" if found is None else found.as_text()

    def flag(self, key: str) -> bool:
        """A member that is true or false; false where it is absent or null."""
        found = self.get(key)
        if found is None:
            return False
        if not isinstance(found.node.value, bool):
            raise found.wrong("true or false")
        return found.node.value

    def as_text(self) -> str:
        """This value, which must be text."""
        if not isinstance(self.node.value, str):
            raise self.wrong("text")
        return self.node.value

    def wrong(self, wanted: str, hint: str | None = None) -> UnreadableManifest:
        """The error that this value is not `wanted`. The value itself is not shown."""
        is_type = _TYPE_NAMES[type(self.node.value)]
        if hint is None and wanted == "text" and not isinstance(self.node.value, dict | list):
            hint = f"put the value in quotes in line {self.node.line}"
        return UnreadableManifest(
            f"{self.place}: {printable(self.path) or 'the document'} is {is_type} and must be {wanted}",
            why="the API server refuses an object with a field of the wrong type",
            hint=hint or f"mend line {self.node.line} of {self.document.file}",
        )


def _flatten(view: _View, implied: _Type, depth: int) -> Iterator[tuple[_View, _Type]]:
    """Objects with their types, Lists taken apart."""
    kind = view.text("kind") or implied.kind
    version = view.text("apiVersion") or implied.version
    if not kind:
        raise UnreadableManifest(
            f"{view.place}: the object has no kind",
            why="a manifest says apiVersion and kind, and this one is something else",
            hint="leave the file out, or write what it is: kind: Pod",
        )
    if not kind.endswith("List") or view.get("items") is None:
        if kind != "List":
            yield view, _Type(version, kind)
        return
    if depth >= _MAX_LIST_DEPTH:
        raise UnreadableManifest(
            f"{view.place}: Lists in Lists in Lists",
            why=f"at most {_MAX_LIST_DEPTH} levels are read",
            hint="write the objects one after the other, with --- between them",
        )
    item = _Type(version, kind.removesuffix("List")) if kind != "List" else _NO_TYPE
    for each in view.items("items"):
        yield from _flatten(each, item, depth + 1)


def _sort(each: tuple[_View, _Type], found: Inventory, default_namespace: str) -> None:
    view, (version, kind) = each
    group = version.rpartition("/")[0]
    metadata = view.get("metadata")
    identity = _Identity(default_namespace, "", "")
    if metadata is not None:
        identity = _Identity(
            metadata.text("namespace") or default_namespace,
            metadata.text("name") or metadata.text("generateName"),
            metadata.text("uid"),
        )
    key = (identity.namespace, identity.name)
    path = TEMPLATES.get((group, kind))
    if path is not None:
        found.pods.append(_pod(view, kind, identity, path))
    elif group or kind not in {"Secret", "ServiceAccount"}:
        # Whoever writes apiVersion: v1 for a Deployment shall see why it was not read.
        is_known = kind.lower() in _KNOWN_KINDS
        found.others[f"{kind} of {version or 'no apiVersion'}" if is_known else kind] += 1
    elif kind == "Secret":
        found.secrets[key] = _secret(view, identity)
    else:
        found.service_accounts[key] = ServiceAccount(
            **identity._asdict(), image_pull_secrets=_references(view), place=view.place
        )


def _references(view: _View) -> tuple[str, ...]:
    """The names in ``imagePullSecrets``, empty ones included: they count (R-KEY-24)."""
    names: list[str] = []
    for item in view.items("imagePullSecrets"):
        if item.node.value is None:
            names.append("")
        elif not isinstance(item.node.value, dict):
            hint = "write the name of the Secret as: - name: NAME"
            raise item.wrong("a mapping", hint)
        else:
            names.append(item.text("name"))
    return tuple(names)


def _pod(view: _View, kind: str, identity: _Identity, path: tuple[str, ...]) -> Pod:
    spec = view.dig(*path)
    if spec is None:
        return Pod(kind=kind, **identity._asdict(), place=view.place)
    if not isinstance(spec.node.value, dict):
        raise spec.wrong("a mapping")
    pull_secrets = spec.get("imagePullSecrets")
    return Pod(
        kind=kind,
        **identity._asdict(),
        service_account_name=(
            spec.text("serviceAccountName") or spec.text("serviceAccount") or DEFAULT_SERVICE_ACCOUNT
        ),
        image_pull_secrets=_references(spec),
        images=tuple(_images(spec)),
        place=view.place,
        pull_secrets_place=pull_secrets.place if pull_secrets else None,
        spec=spec.node.plain(),
    )


def _images(spec: _View) -> Iterator[ImageUse]:
    """Every image of a Pod (R-ADM-14)."""
    for group in _CONTAINERS:
        for container in spec.items(group):
            yield _image(container, "image", "imagePullPolicy", container.text("name"))
    for volume in spec.items("volumes"):
        image = volume.get("image")
        if image is not None:
            yield _image(image, "reference", "pullPolicy", volume.text("name"))


def _image(view: _View, key: str, policy: str, name: str) -> ImageUse:
    found = view.get(key)
    return ImageUse(
        field=f"{view.path}.{key}",
        container=name or None,
        image="" if found is None else found.as_text(),
        pull_policy=view.text(policy),
        place=view.place if found is None else found.place,
    )


def _secret(view: _View, identity: _Identity) -> Secret:
    """A Secret with `stringData` laid over `data`, as the API server stores it."""
    data: dict[str, bytes] = {}
    places: dict[str, Place] = {}
    for key, value in view.members("data"):
        data[key] = _decoded(value, identity) if value.node.value is not None else b""
        places[key] = value.place
    for key, value in view.members("stringData"):
        data[key] = value.as_text().encode("utf-8", "replace") if value.node.value is not None else b""
        places[key] = value.place
    return Secret(
        **identity._asdict(),
        type=view.text("type") or "Opaque",
        data=data,
        immutable=view.flag("immutable"),
        place=view.place,
        data_places=places,
    )


def _decoded(value: _View, identity: _Identity) -> bytes:
    try:
        return go_base64.decode(value.as_text())
    except go_base64.CorruptBase64 as error:
        secret = printable(f"{identity.namespace}/{identity.name}")
        raise UnreadableManifest(
            f"{value.place}: {printable(value.path)} of the Secret {secret} is not base64",
            why=f"{error}: the API server refuses this manifest",
            hint="write plain text under stringData, or the output of: base64 -w0 FILE",
        ) from None
