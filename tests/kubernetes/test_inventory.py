"""Objects out of manifests."""

from collections import Counter

import pytest

from sealift.kubernetes.inventory import TEMPLATES, Inventory, take_inventory
from sealift.kubernetes.manifests import UnreadableManifest, read_documents
from sealift.kubernetes.objects import ImageUse, Place, Pod, Secret, ServiceAccount


def inventory(text: str, namespace: str = "default") -> Inventory:
    return take_inventory(read_documents(text, "f.yaml"), namespace=namespace)


def test_the_story() -> None:
    found = inventory(
        "apiVersion: v1\n"
        "kind: Pod\n"
        "metadata: {name: nginx-pod}\n"
        "spec:\n"
        "  containers:\n"
        "  - name: nginx\n"
        "    image: private-registry.io/apps/internal-app\n"
        "  imagePullSecrets:\n"
        "  - name: regcred\n"
        "---\n"
        "apiVersion: v1\n"
        "kind: Secret\n"
        "metadata: {name: regcred, namespace: other}\n"
        "type: kubernetes.io/dockerconfigjson\n"
        "data:\n"
        "  .dockerconfigjson: e30=\n"
        "  extra: null\n"
        "stringData:\n"
        "  extra: text\n"
        "---\n"
        "apiVersion: v1\n"
        "kind: ServiceAccount\n"
        "metadata: {name: builder}\n"
        "imagePullSecrets: [{name: a}, {}, null]\n"
    )
    assert found.pods == [
        Pod(
            kind="Pod",
            namespace="default",
            name="nginx-pod",
            image_pull_secrets=("regcred",),
            images=(
                ImageUse(
                    field="spec.containers[0].image",
                    container="nginx",
                    image="private-registry.io/apps/internal-app",
                    pull_policy="",
                    place=Place("f.yaml", 7),
                ),
            ),
            place=Place("f.yaml", 1),
            pull_secrets_place=Place("f.yaml", 8),
            spec={
                "containers": [{"name": "nginx", "image": "private-registry.io/apps/internal-app"}],
                "imagePullSecrets": [{"name": "regcred"}],
            },
        )
    ]
    assert found.secrets == {
        ("other", "regcred"): Secret(
            namespace="other",
            name="regcred",
            type="kubernetes.io/dockerconfigjson",
            data={".dockerconfigjson": b"{}", "extra": b"text"},
            place=Place("f.yaml", 11),
            data_places={".dockerconfigjson": Place("f.yaml", 16), "extra": Place("f.yaml", 19)},
        )
    }
    assert found.service_accounts == {
        ("default", "builder"): ServiceAccount(
            namespace="default",
            name="builder",
            image_pull_secrets=("a", "", ""),
            place=Place("f.yaml", 21),
        )
    }
    assert found.others == Counter()


def test_every_image_of_a_pod_is_found() -> None:
    found = inventory(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n"
        "  volumes:\n"
        "  - {name: v, image: {reference: vol, pullPolicy: Never}}\n"
        "  - {name: e, emptyDir: {}}\n"
        "  - {name: w, image: {}}\n"
        "  initContainers: [{name: i, image: init}]\n"
        "  containers: [{name: c, image: main, imagePullPolicy: Always}, {image: second}]\n"
        "  ephemeralContainers: [{name: d, image: debug}]\n"
    )
    assert [(use.field, use.container, use.image, use.pull_policy) for use in found.pods[0].images] == [
        ("spec.containers[0].image", "c", "main", "Always"),
        ("spec.containers[1].image", None, "second", ""),
        ("spec.initContainers[0].image", "i", "init", ""),
        ("spec.ephemeralContainers[0].image", "d", "debug", ""),
        ("spec.volumes[0].image.reference", "v", "vol", "Never"),
        ("spec.volumes[2].image.reference", "w", "", ""),
    ]


@pytest.mark.parametrize(("group", "kind"), TEMPLATES)
def test_every_workload_is_read(group: str, kind: str) -> None:
    version = f"{group}/v1" if group else "v1"
    path = TEMPLATES[group, kind]
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: w, namespace: ns}}\n"
    for depth, key in enumerate(path):
        text += "  " * depth + f"{key}:\n"
    indent = "  " * len(path)
    text += f"{indent}serviceAccountName: sa\n{indent}containers:\n{indent}- image: x\n"
    (pod,) = inventory(text).pods
    assert (pod.kind, pod.namespace, pod.name, pod.service_account_name) == (kind, "ns", "w", "sa")
    assert [use.field for use in pod.images] == [".".join(path) + ".containers[0].image"]
    assert pod.is_template is (kind != "Pod")


def test_lists_are_flattened() -> None:
    found = inventory(
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n"
        "- kind: PodList\n  apiVersion: v1\n  items:\n  - metadata: {name: b}\n"
        "- apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n"
        "---\napiVersion: v1\nkind: SecretList\nitems: [{metadata: {name: t}}]\n"
        "---\nkind: List\n"
    )
    assert [pod.name for pod in found.pods] == ["a", "b"]
    assert list(found.secrets) == [("default", "t")]
    assert found.secrets["default", "t"].type == "Opaque"
    assert found.others == Counter({"Service": 1})


def test_kinds_of_other_groups_are_only_counted() -> None:
    found = inventory(
        "apiVersion: serving.example.com/v1\nkind: Pod\nmetadata: {name: a}\n---\n"
        "apiVersion: example.com/v1\nkind: Secret\nmetadata: {name: a}\n"
    )
    others = Counter({"Pod of serving.example.com/v1": 1, "Secret of example.com/v1": 1})
    assert (found.pods, found.secrets, found.others) == ([], {}, others)


def test_a_kind_with_the_wrong_version_is_counted_with_it() -> None:
    found = inventory("apiVersion: v1\nkind: Deployment\n---\nkind: deployment\n---\nkind: Service\n")
    assert found.others == Counter({"Deployment of v1": 1, "deployment of no apiVersion": 1, "Service": 1})


def test_a_typed_list_gives_its_version_to_its_items() -> None:
    found = inventory(
        "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n"
        "  spec: {template: {spec: {containers: [{image: x}]}}}\n"
    )
    assert [(pod.kind, pod.name, len(pod.images)) for pod in found.pods] == [("Deployment", "a", 1)]


def test_of_two_objects_with_one_name_the_later_counts() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {k: %s}\n"
    found = inventory(secret % "first" + "---\n" + secret % "second")
    assert found.secrets["default", "a"].data == {"k": b"second"}


def test_what_has_no_namespace_goes_where_it_is_told() -> None:
    assert inventory("apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\n", "prod").pods == [
        Pod(kind="Pod", namespace="prod", name="web-", place=Place("f.yaml", 1))
    ]


_SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
_POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param(
            "metadata: {name: x}\n",
            "f.yaml:1: the object has no kind",
            "leave the file out, or write what it is: kind: Pod",
            id="no kind",
        ),
        pytest.param(
            "- a\n",
            "f.yaml:1: the document is a list and must be a mapping",
            "mend line 1 of f.yaml",
            id="a list",
        ),
        pytest.param(
            "hello\n",
            "f.yaml:1: the document is text and must be a mapping",
            "mend line 1 of f.yaml",
            id="text",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: 123\n",
            "f.yaml:4: metadata.name is a number and must be text",
            "put the value in quotes in line 4",
            id="a number for a name",
        ),
        pytest.param(
            f"{_POD}spec:\n  imagePullSecrets:\n  - regcred\n",
            "f.yaml:6: spec.imagePullSecrets[0] is text and must be a mapping",
            "write the name of the Secret as: - name: NAME",
            id="a name where an object belongs",
        ),
        pytest.param(
            f"{_POD}spec:\n  imagePullSecrets: regcred\n",
            "f.yaml:5: spec.imagePullSecrets is text and must be a list",
            "mend line 5 of f.yaml",
            id="no list of Secrets",
        ),
        pytest.param(
            f"{_POD}spec:\n  containers:\n  - image: 1.5\n",
            "f.yaml:6: spec.containers[0].image is a number and must be text",
            "put the value in quotes in line 6",
            id="a number for an image",
        ),
        pytest.param(
            f"{_POD}spec: x\n",
            "f.yaml:4: spec is text and must be a mapping",
            "mend line 4 of f.yaml",
            id="spec",
        ),
        pytest.param(
            f"{_SECRET}data:\n  .dockerconfigjson: hunter2!\n",
            "f.yaml:5: data[.dockerconfigjson] of the Secret default/s is not base64",
            "write plain text under stringData, or the output of: base64 -w0 FILE",
            id="broken base64",
        ),
        pytest.param(
            f"{_SECRET}stringData: {{k: 5}}\n",
            "f.yaml:4: stringData[k] is a number and must be text",
            "put the value in quotes in line 4",
            id="a number in stringData",
        ),
    ],
)
def test_what_the_api_server_refuses_is_refused_with_its_place(text: str, message: str, hint: str) -> None:
    with pytest.raises(UnreadableManifest) as caught:
        inventory(text)
    assert (str(caught.value), caught.value.hint, caught.value.exit_status) == (message, hint, 2)
    assert caught.value.why
    assert "hunter2" not in f"{caught.value} {caught.value.why} {caught.value.hint}"


def test_lists_in_lists_have_an_end() -> None:
    text = "kind: List\nitems:\n- " + "{kind: List, items: [" * 9 + "{kind: Pod}" + "]}" * 9
    with pytest.raises(UnreadableManifest, match="Lists in Lists in Lists"):
        inventory(text)
