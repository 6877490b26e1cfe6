"""Manifests for the tests of explain, and evidence made of them."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from sealift.kubernetes.explain.collect import Question, gather, gather_image
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.report import Explanation, explain
from sealift.kubernetes.inventory import take_inventory
from sealift.kubernetes.manifests import read_documents

APP = "private-registry.io/apps/internal-app"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def pod(
    image: str = APP, *, names: str | None = "regcred", policy: str = "", more: str = "", name: str = "p"
) -> str:
    """A Pod of one container, which names these Secrets (comma-separated)."""
    lines = ["apiVersion: v1", "kind: Pod", f"metadata: {{name: {name}}}", "spec:"]
    if more:
        lines.append(f"  {more}")
    lines += ["  containers:", "  - name: app", f"    image: {json.dumps(image)}"]
    if policy:
        lines.append(f"    imagePullPolicy: {policy}")
    if names is not None:
        lines.append("  imagePullSecrets:")
        lines += [f"  - name: {each}" if each else "  - {}" for each in names.split(",")]
    return "\n".join(lines) + "\n"


def secret(
    auths: Mapping[str, object] | str,
    *,
    name: str = "regcred",
    namespace: str = "default",
    kind: str = "kubernetes.io/dockerconfigjson",
    key: str = ".dockerconfigjson",
) -> str:
    """A Secret with these entries, or with this very content."""
    content = auths if isinstance(auths, str) else json.dumps({"auths": auths})
    encoded = base64.b64encode(content.encode()).decode()
    return (
        f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"type: {kind}\ndata:\n  {key}: {encoded}\n"
    )


def account(*names: str, name: str = "default") -> str:
    """A ServiceAccount that names these Secrets."""
    listed = ", ".join(f"{{name: {each}}}" for each in names)
    metadata = f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}"
    return f"---\n{metadata}\nimagePullSecrets: [{listed}]\n"


def login(user: str = "ashok", password: str = "pw") -> dict[str, str]:
    """One entry."""
    return {"username": user, "password": password}


def evidence_of(*parts: str, complete: bool = False) -> tuple[Evidence, ...]:
    """The evidence on every image in these manifests."""
    inventory = take_inventory(read_documents("".join(parts), "f.yaml"))
    return gather(inventory, Question(namespace="default", complete=complete, now=NOW))


def explained(*parts: str, complete: bool = False) -> Explanation:
    """The explanation of the one image in these manifests."""
    (evidence,) = evidence_of(*parts, complete=complete)
    return explain(evidence)


def explained_image(image: str, *parts: str) -> Explanation:
    """The explanation of an image that stands alone."""
    inventory = take_inventory(read_documents("".join(parts), "f.yaml"))
    return explain(gather_image(image, inventory, Question(namespace="default", now=NOW)))


def codes(found: Explanation) -> list[tuple[str, str, bool]]:
    """Code, severity and certainty of each finding."""
    return [(one.code, one.severity, one.certain) for one in found.findings]
