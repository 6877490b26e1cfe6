"""The commands that mend things: text to paste, quoted for a shell.

Names come out of manifests that anybody may have written, so everything that
is put into a command is quoted, and nothing in it moves a terminal.
"""

import json
import shlex
from typing import Final

from sealift.credentials.keyring import shown_key
from sealift.kubernetes.inventory import TEMPLATES
from sealift.kubernetes.objects import DATA_KEYS, DOCKER_CONFIG, DOCKER_CONFIG_JSON, Pod, Secret
from sealift.transport.redaction import printable

_DATA_KEY: Final = DATA_KEYS[DOCKER_CONFIG_JSON]
_PATHS: Final = {kind: path for (_, kind), path in TEMPLATES.items()}


def word(text: str) -> str:
    """`text` as one word of a shell command."""
    return shlex.quote(printable(text))


def create_secret(name: str, namespace: str, server: str, username: str = "") -> str:
    """Make a Secret that is not there yet."""
    user = word(username) if username else "USER"
    return (
        f"sealift secret create {word(name)} -n {word(namespace)} --docker-server={word(shown_key(server))}"
        f" --docker-username={user} --password-stdin < PASSWORD_FILE | kubectl apply -f -"
    )


def mend_secret(secret: Secret, server: str, username: str = "", *, holds_more: bool) -> str:
    """Put the right content into a Secret that is there.

    Args:
        secret: The one that is there.
        server: Key of the entry that is wrong.
        username: Its user name, if it is known.
        holds_more: Whether other images live on other entries, which must stay.
    """
    if holds_more:
        return _edit_secret(secret)
    if secret.immutable or secret.type != DOCKER_CONFIG_JSON:
        return recreate_secret(secret.name, secret.namespace, server, username)
    return create_secret(secret.name, secret.namespace, server, username)


def _edit_secret(secret: Secret) -> str:
    """Take the content of a Secret out, edit it, and put it back."""
    file = word(f"{secret.name}.json")
    # What is immutable is deleted and made again.
    apply = "replace --force" if secret.immutable else "apply"
    return (
        f"{_content(secret)} > {file} && ${{EDITOR:-vi}} {file}"
        f" && {_made_of(file, secret.type, secret.name, secret.namespace)} --dry-run=client -o yaml"
        f" | kubectl {apply} -f - && rm {file}"
    )


def _content(secret: Secret) -> str:
    """Print the content of a pull Secret."""
    path = "{.data." + DATA_KEYS[secret.type].replace(".", r"\.") + "}"
    where = f"{word(secret.name)} -n {word(secret.namespace)}"
    return f"kubectl get secret {where} -o jsonpath={word(path)} | base64 -d"


def _made_of(file: str, type_: str, name: str, namespace: str) -> str:
    """Make a pull Secret of a file."""
    kind = f"generic --type={DOCKER_CONFIG}" if type_ == DOCKER_CONFIG else "docker-registry"
    source = f"--from-file={DATA_KEYS[type_]}={file}"
    return f"kubectl create secret {kind} {word(name)} -n {word(namespace)} {source}"


def recreate_secret(name: str, namespace: str, server: str, username: str = "") -> str:
    """Delete a Secret whose type cannot be changed, and make it again."""
    made = create_secret(name, namespace, server, username)
    return f"kubectl delete secret {word(name)} -n {word(namespace)} && {made}"


def retype_secret(name: str, namespace: str, data_key: str) -> str:
    """Make a Secret again with the right type and data key, out of what it holds."""
    secret, space = word(name), word(namespace)
    path = "{.data." + data_key.replace(".", r"\.") + "}"
    file = word(f"{name}.json")
    return (
        f"kubectl get secret {secret} -n {space} -o jsonpath={word(path)} | base64 -d > {file}"
        f" && kubectl delete secret {secret} -n {space}"
        f" && kubectl create secret docker-registry {secret} -n {space} --from-file={_DATA_KEY}={file}"
        f" && rm {file}"
    )


def copy_secret(secret: Secret, target: str, name: str) -> str:
    """Copy a pull Secret to another namespace, as `name`."""
    return f"{_content(secret)} | {_made_of('/dev/stdin', secret.type, name, target)}"


def name_secret(pod: Pod, name: str) -> str:
    """Have a Pod name a Secret: a patch for a workload, an edit for what cannot be changed in place."""
    path = _PATHS.get(pod.kind, ("spec",))
    if pod.kind == "Job":
        return (
            f"add to {'.'.join(path)} of the Job{f' in {pod.place}' if pod.place else ''}:"
            f" imagePullSecrets: [{{name: {word(name)}}}], delete the Job and make it again:"
            " its template cannot be changed"
        )
    if pod.kind == "Pod":
        place = f" in {pod.pull_secrets_place or pod.place}" if pod.place else ""
        if pod.image_pull_secrets:
            return f"add to the Pod's imagePullSecrets{place}: - name: {word(name)}"
        return f"add to the Pod's spec{place}: imagePullSecrets: [{{name: {word(name)}}}]"
    patch: object = {"imagePullSecrets": [{"name": printable(name)}]}
    for key in reversed(path):
        patch = {key: patch}
    text = json.dumps(patch, separators=(",", ":"))
    return f"kubectl patch {pod.kind.lower()} {word(pod.name)} -n {word(pod.namespace)} -p {word(text)}"


def decode_secret(secret: Secret) -> str:
    """Show whose keys a Secret holds, and nothing secret."""
    entries = "json.load(sys.stdin)" + ("" if secret.type == DOCKER_CONFIG else '["auths"]')
    script = f'import json,sys; print(*{entries}, sep="\\n")'
    return f"{_content(secret)} | python3 -c {word(script)}"


def get_service_account(name: str, namespace: str) -> str:
    """Print a ServiceAccount, to be added to the input."""
    return f"kubectl get serviceaccount {word(name)} -n {word(namespace)} -o yaml"
