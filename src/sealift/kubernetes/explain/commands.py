"""The commands that mend things: text to paste, quoted for a shell.

Names come out of manifests that anybody may have written, so everything that
is put into a command is quoted, and nothing in it moves a terminal.
"""

import json
import shlex
from typing import Final

from sealift.credentials.keyring import shown_key
from sealift.kubernetes.inventory import TEMPLATES
from sealift.kubernetes.objects import DATA_KEYS, DOCKER_CONFIG_JSON, Pod
from sealift.transport.redaction import printable

_DATA_KEY: Final = DATA_KEYS[DOCKER_CONFIG_JSON]
_PATHS: Final = {kind: path for (_, kind), path in TEMPLATES.items()}


def word(text: str) -> str:
    """`text` as one word of a shell command."""
    return shlex.quote(printable(text))


def create_secret(name: str, namespace: str, server: str, username: str = "") -> str:
    """Make a Secret, or replace the content of the one that is there."""
    user = word(username) if username else "USER"
    return (
        f"sealift secret create {word(name)} -n {word(namespace)} --docker-server={word(shown_key(server))}"
        f" --docker-username={user} --password-stdin < PASSWORD_FILE | kubectl apply -f -"
    )


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


def copy_secret(name: str, origin: str, target: str) -> str:
    """Copy a Secret from one namespace to another."""
    path = r"{.data.\.dockerconfigjson}"
    return (
        f"kubectl get secret {word(name)} -n {word(origin)} -o jsonpath={word(path)} | base64 -d |"
        f" kubectl create secret docker-registry {word(name)} -n {word(target)}"
        f" --from-file={_DATA_KEY}=/dev/stdin"
    )


def name_secret(pod: Pod, name: str) -> str:
    """Have a Pod name a Secret: a patch for a workload, an edit for a Pod, whose list cannot be changed."""
    path = _PATHS.get(pod.kind, ("spec",))
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


def decode_secret(name: str, namespace: str) -> str:
    """Show whose keys a Secret holds, and nothing secret."""
    path = r"{.data.\.dockerconfigjson}"
    script = 'import json,sys; print(*json.load(sys.stdin)["auths"], sep="\\n")'
    return (
        f"kubectl get secret {word(name)} -n {word(namespace)} -o jsonpath={word(path)} | base64 -d |"
        f" python3 -c {word(script)}"
    )


def get_service_account(name: str, namespace: str) -> str:
    """Print a ServiceAccount, to be added to the input."""
    return f"kubectl get serviceaccount {word(name)} -n {word(namespace)} -o yaml"
