"""The findings: one table of codes, from which messages, manual and tests are made.

A code is stable and never used again for something else. SL1xx are about which
credential is found, SL2xx about what is in a Secret, SL3xx about the image and
the Pod, SL4xx about what a registry answered.
"""

import textwrap
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, in words that the owner of the Pod can act upon."""

    code: str
    """Stable, for scripts and for the manual: ``SL104``."""

    severity: Severity
    certain: bool
    """False where the evidence fits and does not prove. A certain error means that the pull fails."""

    summary: str
    fix: str
    """The command that mends it, ready to be pasted; or the edit, where no command does."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the manual says about a code."""

    code: str
    title: str
    meaning: str
    remedy: str

    def text(self) -> str:
        """The page, as ``sealift explain CODE`` prints it."""
        meaning, remedy = _wrapped(self.meaning), _wrapped(self.remedy)
        return f"{self.code}: {self.title}\n\n{meaning}\n\nWhat to do\n\n{remedy}\n"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(line, 88, break_on_hyphens=False) for line in text.split("\n"))


_RECREATE = (
    "Make the Secret again with the registry as the image names it: "
    "sealift secret create NAME -n NAMESPACE --docker-server=REGISTRY --docker-username=USER "
    "--password-stdin < FILE | kubectl apply -f -"
)

PAGES: Final[tuple[Page, ...]] = (
    Page(
        "SL101",
        "no credential matches the image",
        "The Pod names Secrets, they were read, and no key in them serves this image. The kubelet makes one"
        " anonymous attempt. A private registry answers 401 or 404, and the Pod shows ErrImagePull, then"
        " ImagePullBackOff. If the repository is public, the pull works.",
        f"{_RECREATE}\nThe near misses say which key was almost right, and why it was not.",
    ),
    Page(
        "SL102",
        "nobody names a pull Secret",
        "Neither the Pod nor its ServiceAccount names a pull Secret, so the kubelet pulls"
        " anonymously (or with what the node itself is configured with).",
        "If the image is private, add imagePullSecrets to the Pod spec, or to the ServiceAccount before the"
        " Pod is made.",
    ),
    Page(
        "SL103",
        "a Secret that is named is missing",
        "A name in imagePullSecrets has no Secret in the Pod's namespace. The kubelet emits the event"
        " FailedToRetrieveImagePullSecret, leaves it out and goes on, anonymously where nothing else matches."
        " Secrets are looked up in the Pod's own namespace only. Without --complete the Secret may simply not"
        " be among the files that were read.",
        "Make the Secret in that namespace, or mend the name.",
    ),
    Page(
        "SL104",
        "a key nearly matches the image",
        "The kubelet compares keys and images by rules of its own: the scheme must be http or https in lower"
        " case; a port must be the same text on both sides; * stands for one label of the host; the path of"
        " the key must be the beginning of the image's path; upper and lower case count. A key that docker or"
        " podman would take may serve nothing here.",
        _RECREATE,
    ),
    Page(
        "SL105",
        "the right Secret is in another namespace",
        "A Secret whose key matches the image exists in another namespace. The kubelet never looks there.",
        "Copy it: kubectl get secret NAME -n THERE -o jsonpath='{.data.\\.dockerconfigjson}' | base64 -d |"
        " kubectl create secret docker-registry NAME -n HERE --from-file=.dockerconfigjson=/dev/stdin",
    ),
    Page(
        "SL106",
        "the right Secret is there, and the Pod does not name it",
        "A Secret in the Pod's namespace has a key that matches the image, but neither the Pod nor its"
        " ServiceAccount names it. A Secret serves only the Pods that name it.",
        "Add its name to imagePullSecrets of the Pod spec.",
    ),
    Page(
        "SL107",
        "the Docker Hub key is hidden by another key",
        "The key https://index.docker.io/v1/ is used only where no other key matches the image. Here another"
        " one does (docker.io, or a wildcard), so the Docker Hub credential is not tried; and there is no"
        " anonymous attempt either, because a credential was found.",
        "Take the other key out of the Secret, or put the right password there.",
    ),
    Page(
        "SL108",
        "the credential of Docker Hub goes to another registry",
        "The kubelet takes an image whose first part has neither a dot nor a port for one of Docker Hub, also"
        " where that part is a host: localhost/app, or Registry/app with a capital letter. It hands the"
        " Docker Hub credential to that host.",
        "Give the host its port (localhost:5000/app), or take the Docker Hub Secret off this Pod.",
    ),
    Page(
        "SL109",
        "the order of the attempts is random",
        "Two keys of one Secret mean the same place (such as foo.io and https://foo.io). The kubelet"
        " walks the entries of a Secret in random order, so which of the two is tried first changes"
        " from pull to pull.",
        "Leave one of the two keys in the Secret.",
    ),
    Page(
        "SL110",
        "the ServiceAccount is not in the input",
        "The Pod has no imagePullSecrets of its own, so the API server copies those of its"
        " ServiceAccount when the Pod is made. That ServiceAccount is not among the files, so what"
        " it adds is not known.",
        "Add it to the input: kubectl get serviceaccount NAME -n NAMESPACE -o yaml | sealift explain"
        " -f POD -f -",
    ),
    Page(
        "SL111",
        "the Pod's own list hides that of its ServiceAccount",
        "A Pod that has imagePullSecrets gets none from its ServiceAccount: the lists are never merged. The"
        " ServiceAccount names a Secret that would match this image.",
        "Add that Secret to the Pod's own list, or take the list out of the Pod.",
    ),
    Page(
        "SL112",
        "an empty name in imagePullSecrets",
        "An entry without a name is skipped by the kubelet, but it counts as an entry: the ServiceAccount's"
        " list is then not copied. imagePullSecrets: [{}] is the way to opt out of it; otherwise it is a"
        " mistake.",
        "Take the entry out, or give it its name.",
    ),
    Page(
        "SL113",
        "a pull from Docker Hub without credentials",
        "Anonymous pulls from Docker Hub are counted by the address they come from, and all nodes behind one"
        " gateway share it. Past the limit the answer is 429 Too Many Requests.",
        "Name a Secret with a Docker Hub login (key https://index.docker.io/v1/), or pull through a mirror.",
    ),
    Page(
        "SL114",
        "the Pod's image means Docker Hub, and its Secret is for another registry",
        "An image without a registry is an image of Docker Hub. The Secrets that the Pod names hold"
        " credentials for another registry, and none for Docker Hub: perhaps the registry was left out of"
        " the image's name.",
        "Write the registry in front of the image.",
    ),
    Page(
        "SL201",
        "a Secret cannot be decoded, and with it none of the Pod's credentials",
        "One bad entry in any Secret that the Pod names (broken base64, no colon in auth, a number where text"
        " belongs, JSON that is none) makes the kubelet give up on all of them, also those of the node. The"
        " container waits with the decoder's own words as its reason, and nothing is pulled.",
        f"{_RECREATE}\nOr take the Secret off the Pod's list.",
    ),
    Page(
        "SL202",
        "a Secret of a type that the kubelet does not read",
        "Only Secrets of the types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg are read. Any"
        " other (Opaque, say) is passed over: no event, no line in a log.",
        "A Secret's type cannot be changed: delete it and make it again with its type.",
    ),
    Page(
        "SL203",
        "a Secret without the data key of its type",
        "The type kubernetes.io/dockerconfigjson goes with the data key .dockerconfigjson, and"
        " kubernetes.io/dockercfg with .dockercfg. The API server refuses other pairs.",
        "Put the content under the key that belongs to the type.",
    ),
    Page(
        "SL204",
        "a Secret with nothing in it",
        "The content is empty, or has no entry in auths. It gives no credential to any image.",
        _RECREATE,
    ),
    Page(
        "SL205",
        "an empty credential",
        "An entry like {} or null is a credential with an empty user name and password. It counts as a match,"
        " so the anonymous attempt is made in its place and the Docker Hub fallback is not. Docker Desktop"
        " leaves such entries where a credential helper keeps the password.",
        "Make the Secret from a login that holds the password, not from a config.json with credsStore.",
    ),
    Page(
        "SL206",
        "a credential helper in a Secret",
        "credsStore and credHelpers name programs that keep passwords on one machine. In a Secret the kubelet"
        " does not read them: the passwords are not in it.",
        _RECREATE,
    ),
    Page(
        "SL207",
        "an identity token in a Secret",
        "The kubelet reads username, password, email and auth of an entry, and nothing else. An"
        " identity token or registry token is dropped, and what is left may be empty.",
        "Use a password or an access token of the registry as password.",
    ),
    Page(
        "SL208",
        "white space or control characters in a user name or password",
        "The credential is sent as it is, with the line break or blank at its end. It often comes from echo"
        " without -n, or from a file with a last line break.",
        "printf %s PASSWORD > FILE, then make the Secret again with --password-stdin < FILE, which takes one"
        " line break off.",
    ),
    Page(
        "SL209",
        "a variable that was not expanded",
        "The user name or password looks like a variable of a shell or a template, such as ${TOKEN} or"
        " {{ .Values.password }}: what should have filled it in did not run.",
        "Expand it before the Secret is made, and quote for the shell as you mean it.",
    ),
    Page(
        "SL210",
        "auth and username or password disagree",
        "Where an entry has auth, it replaces username and password. Here they say something else, so what is"
        " written in them is not what is sent.",
        _RECREATE,
    ),
    Page(
        "SL211",
        "a credential that is not UTF-8",
        "The kubelet hands user name and password to the container runtime in messages that must be UTF-8."
        " A credential with other bytes cannot be handed over.",
        "Make the password again, of characters that UTF-8 has; and check what encoded it.",
    ),
    Page(
        "SL212",
        "a password without a user name",
        "containerd ignores a password that comes without a user name, and pulls anonymously.",
        "Give the user name that your registry wants beside a token: often it may be any text.",
    ),
    Page(
        "SL213",
        "a token that has expired",
        "The password is a JSON web token and says itself until when it is valid. That time is over.",
        "Fetch a new token, and make the Secret again; better, use a credential that lives as long"
        " as the Pod.",
    ),
    Page(
        "SL214",
        "a token of a cloud that lives for hours",
        "The user name is the one that a cloud's registry wants beside a short-lived token (ECR:"
        " AWS, 12 hours; Google: oauth2accesstoken, one hour; Azure:"
        " 00000000-0000-0000-0000-000000000000, three hours). A Secret with it works today and not tomorrow.",
        "Use the cloud's credential provider on the nodes, or renew the Secret by a job.",
    ),
    Page(
        "SL215",
        "the name of a robot account without its $",
        "Robot accounts are called robot$NAME, and in double quotes a shell replaces $NAME by nothing.",
        "Write the user name in single quotes: --docker-username='robot$NAME'",
    ),
    Page(
        "SL301",
        "the image name cannot be read",
        "The kubelet parses the name before anything else, and stops with InvalidImageName. The API server"
        " takes the Pod all the same.",
        "Mend the name. The caret stands under the first character that breaks a rule.",
    ),
    Page(
        "SL302",
        "a short name, and what it stands for",
        "A name without a registry means Docker Hub, and there a name of one word lives under library/: nginx"
        " is docker.io/library/nginx:latest. Some tutorials say that the missing part defaults to the image's"
        " own name, nginx/nginx; that is another repository, of the user nginx.",
        "Write the full name where it matters.",
    ),
    Page(
        "SL303",
        "no image",
        "A container must have an image. The API server refuses the Pod.",
        "Write the image.",
    ),
    Page(
        "SL304",
        "white space around the image",
        "In a Pod the API server refuses an image with a blank or line break at either end. In a template it"
        " is let through, and the Pods made from it fail with InvalidImageName.",
        "Take the white space out; a block scalar (|) leaves a line break at the end, |- does not.",
    ),
    Page(
        "SL305",
        "a variable in the image that was not expanded",
        "The image holds ${…}, $(…), {{ … }} or <…>. Kubernetes expands no variables in an image.",
        "Run the manifest through what should fill it in (envsubst, helm template, kustomize) before it is"
        " applied.",
    ),
    Page(
        "SL306",
        "a scheme in the image",
        "An image begins with its registry, not with https:// or docker://.",
        "Leave the scheme out.",
    ),
    Page(
        "SL307",
        "a name that is taken for a tag",
        "Without a slash, what stands before a colon is the image and what follows it the tag: localhost:5000"
        " is the image localhost of Docker Hub with the tag 5000.",
        "Write the repository behind the host: localhost:5000/NAME.",
    ),
    Page(
        "SL308",
        "a pull policy that there is not",
        "imagePullPolicy is Always, IfNotPresent or Never. The API server refuses any other value.",
        "Write one of the three, or leave the field out.",
    ),
    Page(
        "SL309",
        "the image is never pulled",
        "With imagePullPolicy: Never the kubelet pulls nothing: the image must be on the node already, and"
        " since Kubernetes 1.35 the Pod must be able to show credentials that it was pulled with.",
        "Set imagePullPolicy: IfNotPresent if the node should fetch the image.",
    ),
    Page(
        "SL310",
        "the tag is almost latest",
        "The tag differs from latest by a letter or by upper case. Tags are compared as they are written.",
        "Write latest, or better a version.",
    ),
    Page(
        "SL311",
        "a name that is the ID of a local image",
        "The text sha256:… is a legal name (the repository sha256 of Docker Hub), and container runtimes look"
        " for a local image of that ID first.",
        "Write NAME@sha256:… to pull by digest.",
    ),
    Page(
        "SL401",
        "the registry knows none of the credentials",
        "Each attempt was answered with 401: the user name or password is wrong, was changed or has expired.",
        _RECREATE,
    ),
    Page(
        "SL402",
        "the credential is good and has no right here",
        "The registry accepted the login and refused this repository.",
        "Have the owner of the repository grant the right to pull.",
    ),
    Page(
        "SL403",
        "the image is not there, or not for this credential",
        "The registry answered 404. Registries give the same answer for what does not exist and for what the"
        " asker may not see.",
        "Check the name and the tag: sealift tags REPOSITORY. Then the rights of the credential.",
    ),
    Page(
        "SL404",
        "the registry cannot be reached from here",
        "No answer came: the name is unknown, nothing listens there, or a firewall or proxy stands between."
        " A node may reach it all the same.",
        "Check host and port in the image's name, and the way from the node.",
    ),
    Page(
        "SL405",
        "the registry's certificate is not trusted",
        "The TLS handshake failed, so no credential was sent. Each node's container runtime needs the"
        " authority that signed the certificate.",
        "Give the authority to this command with --ca-file, and to the nodes in"
        " /etc/containerd/certs.d/REGISTRY/.",
    ),
    Page(
        "SL406",
        "the registry refuses more requests for now",
        "The registry answered 429.",
        "Wait, use a credential, or pull through a mirror.",
    ),
    Page(
        "SL407",
        "no image for the node's platform",
        "The name leads to an index, and the index has no image for the platform that was asked for.",
        "Build and push the image for that platform, or keep the Pod off such nodes with a nodeSelector.",
    ),
)  # fmt: skip

PAGE_BY_CODE: Final = {page.code: page for page in PAGES}


def manual() -> str:
    """All pages as one Markdown document: docs/reference/findings.md."""
    lines = [
        "# Findings of `sealift explain`",
        "",
        "Made from `sealift.kubernetes.explain.findings`; `sealift explain CODE` prints a page.",
        "",
    ]
    for page in PAGES:
        lines += [f"## {page.code}: {page.title}", "", *_paragraphs(page.meaning), "**What to do.**"]
        lines[-1] += f" {_paragraphs(page.remedy)[0]}"
        lines += ["", *_paragraphs(page.remedy)[2:]]
    return "\n".join(lines).rstrip() + "\n"


def _paragraphs(text: str) -> list[str]:
    found: list[str] = []
    for paragraph in text.split("\n"):
        found += [paragraph, ""]
    return found
