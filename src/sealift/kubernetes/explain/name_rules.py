"""What can be wrong with the name of an image, and with how the Pod wants it pulled.

Spec: R-REF-11 to R-REF-24, R-POL-1 to R-POL-7.
"""

import re
from collections.abc import Iterator
from typing import Final

from sealift.credentials.near_miss import nearly_equal
from sealift.image import docker_hub
from sealift.image.reference import reads_as_image_id, without_password
from sealift.kubernetes.explain import commands
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.findings import Finding
from sealift.transport.redaction import printable

_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_VARIABLE = re.compile(r"\$\{|\$\(|\$[A-Za-z_][A-Za-z0-9_]*$|\{\{|\}\}|%\([a-z]+\)s|<[A-Za-z_-]+>")
_UNEXPANDED = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\{\{.*\}\}|^\$[A-Za-z_][A-Za-z0-9_]*$")
_SHELL_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def name(evidence: Evidence) -> Iterator[Finding]:
    """The name cannot be read."""
    image = evidence.use.image
    refusal = evidence.malformed
    if refusal is None:
        return
    image = without_password(image)
    shown = printable(image)
    if not image or (not image.strip() and not evidence.pod.is_template):
        yield from _no_image(evidence)
    elif image != image.strip():
        yield Finding(
            code="SL304",
            severity="error",
            certain=True,
            summary=f"there is white space around the image {image!a}"
            + (", and the API server refuses the Pod" if not evidence.pod.is_template else ""),
            fix=f"write image: {printable(image.strip()) or 'NAME'}",
        )
    elif _SCHEME.match(image):
        bare = _SCHEME.sub("", image, count=1).rpartition("***@")[2]
        yield Finding(
            code="SL306",
            severity="error",
            certain=True,
            summary=f"an image begins with its registry, not with a scheme: {shown}",
            fix=f"write image: {printable(bare)}",
        )
    elif _VARIABLE.search(image):
        yield Finding(
            code="SL305",
            severity="error",
            certain=True,
            summary=f"a variable in the image was not expanded: {shown}",
            fix=_expand(evidence),
        )
    else:
        yield Finding(
            code="SL301",
            severity="error",
            certain=True,
            summary=f"{refusal}: {refusal.why}; the kubelet says InvalidImageName",
            fix=refusal.hint or "mend the name: [REGISTRY[:PORT]/]PATH[:TAG][@DIGEST]",
        )


def _no_image(evidence: Evidence) -> Iterator[Finding]:
    is_volume = evidence.use.field.endswith(".reference")
    optional = is_volume and evidence.pod.is_template
    yield Finding(
        code="SL303",
        severity="warning" if optional else "error",
        certain=not optional,
        summary=f"{evidence.use.field or 'the image'} is empty"
        + ("" if optional else ", and the API server refuses the Pod"),
        fix=f"write an image in {evidence.use.place or 'the Pod'}",
    )


def _expand(evidence: Evidence) -> str:
    place, image = evidence.use.place, evidence.use.image
    if "{{" in image:
        return "apply what helm makes of the chart: helm template NAME CHART | kubectl apply -f -"
    # envsubst expands $NAME and ${NAME}, and leaves $(NAME), %(name)s and <name> as they are.
    if place is None or place.file == "-" or not _SHELL_VARIABLE.search(image):
        return "expand it before the manifest is applied: envsubst, helm template, or kustomize build"
    return f"envsubst < {commands.word(place.file)} | kubectl apply -f -"


def short_name(evidence: Evidence) -> Iterator[Finding]:
    """The name can be read, and may mean something else than was meant."""
    reference = evidence.reference
    if reference is None:
        return
    image = evidence.use.image
    is_hub = reference.repository.registry == docker_hub.DOMAIN
    name = image.partition("@")[0].partition(":")[0]
    if reads_as_image_id(image):
        yield Finding(
            code="SL311",
            severity="warning",
            certain=False,
            summary=f"{printable(image)} reads as the ID of an image: a runtime looks for a local one first",
            fix="write NAME@sha256:… to pull by digest",
        )
    elif is_hub and "/" not in image and (name == "localhost" or "." in name):
        yield Finding(
            code="SL307",
            severity="warning",
            certain=False,
            summary=f"without a slash {printable(name)} is no registry, but the image {reference.repository}"
            + (f" with the tag {reference.tag}" if reference.tag else ""),
            fix=f"write the repository behind it: {printable(image)}/NAME",
        )
    elif is_hub and evidence.stands_alone and "/" not in image:
        yield Finding(
            code="SL302",
            severity="warning",
            certain=True,
            summary=f"{name} is {reference.repository}, not {name}/{name} as some tutorials have it:"
            f" that is a repository of the Docker Hub user {name}",
            fix=f"write image: {reference.repository}:{reference.effective_tag or 'TAG'}"
            if reference.digest is None
            else f"write image: {reference}",
        )
    tag = reference.tag
    if (
        tag is not None
        and tag != "latest"
        and (
            tag.lower() == "latest"
            or (tag.isalpha() and nearly_equal(tag, "latest", 1))
            or sorted(tag) == sorted("latest")
        )
    ):
        yield Finding(
            code="SL310",
            severity="warning",
            certain=False,
            summary=f"the tag {tag} is not latest: tags are compared letter by letter",
            fix=f"write image: {reference.repository}:latest",
        )


def policy(evidence: Evidence) -> Iterator[Finding]:
    """The pull policy is none, or pulls nothing."""
    policy = evidence.pull_policy
    if policy not in _POLICIES:
        yield Finding(
            code="SL308",
            severity="error",
            certain=True,
            summary=f"{printable(policy)!r} is no pull policy, and the API server refuses it",
            fix="write imagePullPolicy: Always, IfNotPresent or Never, or leave the field out",
        )
    elif policy == "Never" and evidence.reference is not None:
        yield Finding(
            code="SL309",
            severity="info",
            certain=True,
            summary="with imagePullPolicy: Never nothing is pulled: the image must be on the node already",
            fix="write imagePullPolicy: IfNotPresent if the node should fetch it",
        )
