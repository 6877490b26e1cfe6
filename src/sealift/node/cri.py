"""A container runtime over its socket: the one module that speaks gRPC.

Values of ours go in and come out; messages of the interface and gRPC's errors
stay here. It is written against containerd (1.6 and later) and CRI-O.

Spec: Kubernetes CRI, runtime.v1 (k8s.io/cri-api). The messages are in
`sealift.node.cri_v1`.
"""

import os
import stat
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message

from sealift.credentials.credential import Credential
from sealift.node.cri_v1 import cri_pb2 as cri
from sealift.node.errors import MalformedEndpoint, RuntimeForbidden, RuntimeRefused, RuntimeUnreachable
from sealift.node.image_service import NodeImage
from sealift.node.sandbox import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    RuntimeCondition,
    RuntimeVersion,
    Sandbox,
    SandboxConfig,
)

DEFAULT_ENDPOINT = "unix:///run/containerd/containerd.sock"

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message. containerd's own limit: a list of many images is long."""

_ANSWER = TypeVar("_ANSWER", bound=Message)

_GO_NAMES = {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
    grpc.StatusCode.UNKNOWN: "Unknown",
    grpc.StatusCode.INVALID_ARGUMENT: "InvalidArgument",
    grpc.StatusCode.DEADLINE_EXCEEDED: "DeadlineExceeded",
    grpc.StatusCode.NOT_FOUND: "NotFound",
    grpc.StatusCode.ALREADY_EXISTS: "AlreadyExists",
    grpc.StatusCode.PERMISSION_DENIED: "PermissionDenied",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "ResourceExhausted",
    grpc.StatusCode.FAILED_PRECONDITION: "FailedPrecondition",
    grpc.StatusCode.ABORTED: "Aborted",
    grpc.StatusCode.OUT_OF_RANGE: "OutOfRange",
    grpc.StatusCode.UNIMPLEMENTED: "Unimplemented",
    grpc.StatusCode.INTERNAL: "Internal",
    grpc.StatusCode.UNAVAILABLE: "Unavailable",
    grpc.StatusCode.DATA_LOSS: "DataLoss",
    grpc.StatusCode.UNAUTHENTICATED: "Unauthenticated",
}
"""The code as Go's ``codes.Code.String`` prints it, and so as a kubelet shows it."""

_STATES = {
    cri.CONTAINER_CREATED: ContainerState.CREATED,
    cri.CONTAINER_RUNNING: ContainerState.RUNNING,
    cri.CONTAINER_EXITED: ContainerState.EXITED,
    cri.CONTAINER_UNKNOWN: ContainerState.UNKNOWN,
}


class CriRuntime:
    """A container runtime behind a unix socket: an `ImageService` and a `RuntimeService`.

    Use it as ``async with``; it connects with the first call. A password goes
    into one PullImage message and is kept nowhere.

    Args:
        endpoint: ``unix:///run/containerd/containerd.sock``, or the bare path.
        timeout_seconds: For every call but PullImage, which has its own.
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, *, timeout_seconds: float = 120.0) -> None:
        self.endpoint = endpoint
        self._path = socket_path(endpoint)
        self._timeout_seconds = timeout_seconds
        # A proxy from the environment is never right for a unix socket.
        self._channel = grpc.aio.insecure_channel(
            f"unix:{self._path}",
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.max_send_message_length", MAX_MESSAGE),
                ("grpc.enable_http_proxy", 0),
                ("grpc.default_authority", "localhost"),
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls under way are cancelled."""
        await self._channel.close(None)

    # ---- images

    async def status(self, image: str) -> NodeImage | None:
        """See `ImageService.status`."""
        answer = await self._image_call(
            "ImageStatus", cri.ImageStatusRequest(image=cri.ImageSpec(image=image)), cri.ImageStatusResponse
        )
        return _node_image(answer.image) if answer.HasField("image") else None

    async def pull(
        self,
        image: str,
        credential: Credential | None,
        *,
        sandbox: SandboxConfig | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """See `ImageService.pull`."""
        try:
            request = cri.PullImageRequest(
                image=cri.ImageSpec(image=image),
                auth=None if credential is None else _auth(credential),
                sandbox_config=None if sandbox is None else _sandbox_config(sandbox),
            )
        except UnicodeEncodeError:
            # A protobuf string is UTF-8, and a Secret may hold any bytes (R-SEC-10). The error of
            # protobuf shows the text, so it goes no further.
            raise RuntimeRefused(
                call="PullImage",
                code="Internal",
                description="grpc: error while marshaling: string field contains invalid UTF-8",
            ) from None
        answer = await self._image_call(
            "PullImage", request, cri.PullImageResponse, timeout_seconds=timeout_seconds
        )
        return answer.image_ref

    async def remove(self, image: str) -> None:
        """See `ImageService.remove`."""
        await self._image_call(
            "RemoveImage", cri.RemoveImageRequest(image=cri.ImageSpec(image=image)), cri.RemoveImageResponse
        )

    async def images(self) -> tuple[NodeImage, ...]:
        """See `ImageService.images`."""
        answer = await self._image_call("ListImages", cri.ListImagesRequest(), cri.ListImagesResponse)
        return tuple(_node_image(image) for image in answer.images)

    # ---- the runtime

    async def version(self) -> RuntimeVersion:
        """See `RuntimeService.version`."""
        answer = await self._runtime_call("Version", cri.VersionRequest(version="v1"), cri.VersionResponse)
        return RuntimeVersion(
            name=answer.runtime_name, version=answer.runtime_version, api_version=answer.runtime_api_version
        )

    async def conditions(self) -> tuple[RuntimeCondition, ...]:
        """See `RuntimeService.conditions`."""
        answer = await self._runtime_call("Status", cri.StatusRequest(), cri.StatusResponse)
        return tuple(
            RuntimeCondition(type=one.type, status=one.status, reason=one.reason, message=one.message)
            for one in answer.status.conditions
        )

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """See `RuntimeService.run_sandbox`."""
        request = cri.RunPodSandboxRequest(config=_sandbox_config(config))
        return (await self._runtime_call("RunPodSandbox", request, cri.RunPodSandboxResponse)).pod_sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """See `RuntimeService.stop_sandbox`."""
        request = cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._end("StopPodSandbox", request, cri.StopPodSandboxResponse)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """See `RuntimeService.remove_sandbox`."""
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        await self._end("RemovePodSandbox", request, cri.RemovePodSandboxResponse)

    async def sandboxes(self, labels: Mapping[str, str]) -> tuple[Sandbox, ...]:
        """See `RuntimeService.sandboxes`."""
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=dict(labels)))
        answer = await self._runtime_call("ListPodSandbox", request, cri.ListPodSandboxResponse)
        return tuple(
            Sandbox(
                id=one.id,
                namespace=one.metadata.namespace,
                name=one.metadata.name,
                uid=one.metadata.uid,
                ready=one.state == cri.SANDBOX_READY,
                labels=dict(one.labels),
            )
            for one in answer.items
        )

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        """See `RuntimeService.create_container`."""
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id,
            config=_container_config(config, sandbox),
            sandbox_config=_sandbox_config(sandbox),
        )
        answer = await self._runtime_call("CreateContainer", request, cri.CreateContainerResponse)
        return answer.container_id

    async def start_container(self, container_id: str) -> None:
        """See `RuntimeService.start_container`."""
        request = cri.StartContainerRequest(container_id=container_id)
        await self._runtime_call("StartContainer", request, cri.StartContainerResponse)

    async def stop_container(self, container_id: str, *, grace_seconds: int) -> None:
        """See `RuntimeService.stop_container`."""
        request = cri.StopContainerRequest(container_id=container_id, timeout=grace_seconds)
        limit = self._timeout_seconds + grace_seconds
        await self._end("StopContainer", request, cri.StopContainerResponse, timeout_seconds=limit)

    async def remove_container(self, container_id: str) -> None:
        """See `RuntimeService.remove_container`."""
        request = cri.RemoveContainerRequest(container_id=container_id)
        await self._end("RemoveContainer", request, cri.RemoveContainerResponse)

    async def container_status(self, container_id: str) -> ContainerStatus:
        """See `RuntimeService.container_status`."""
        request = cri.ContainerStatusRequest(container_id=container_id)
        one = (await self._runtime_call("ContainerStatus", request, cri.ContainerStatusResponse)).status
        return ContainerStatus(
            id=one.id,
            name=one.metadata.name,
            # A state that is newer than this program reads as unknown.
            state=_STATES.get(one.state, ContainerState.UNKNOWN),
            exit_code=one.exit_code,
            reason=one.reason,
            message=one.message,
            started_at=one.started_at,
            finished_at=one.finished_at,
        )

    # ---- calls

    async def _image_call(
        self, call: str, request: Message, answer: type[_ANSWER], *, timeout_seconds: float | None = None
    ) -> _ANSWER:
        # PullImage alone may take for ever; the other calls of this service look at a database.
        limit = timeout_seconds if call == "PullImage" else self._timeout_seconds
        return await self._call("runtime.v1.ImageService", call, request, answer, limit)

    async def _runtime_call(
        self, call: str, request: Message, answer: type[_ANSWER], *, timeout_seconds: float | None = None
    ) -> _ANSWER:
        limit = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self._call("runtime.v1.RuntimeService", call, request, answer, limit)

    async def _end(
        self, call: str, request: Message, answer: type[Message], *, timeout_seconds: float | None = None
    ) -> None:
        """Stop or remove something. What is gone already is no error, but for containerd 1.6."""
        try:
            await self._runtime_call(call, request, answer, timeout_seconds=timeout_seconds)
        except RuntimeRefused as refusal:
            if refusal.code != "NotFound":
                raise

    async def _call(
        self,
        service: str,
        call: str,
        request: Message,
        answer: type[_ANSWER],
        timeout_seconds: float | None,
    ) -> _ANSWER:
        self._look_at_socket()
        method = self._channel.unary_unary(
            f"/{service}/{call}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            reply: _ANSWER = await method(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            code, details = error.code(), error.details() or ""
            if code is grpc.StatusCode.UNAVAILABLE and _never_connected(details):
                raise self._unreachable("nothing listens there") from None
            # The chained error would print the request, and with it a password.
            raise RuntimeRefused(call=call, code=_GO_NAMES[code], description=details) from None
        return reply

    def _look_at_socket(self) -> None:
        """Say what is wrong with the socket in words: gRPC has one text for all of it."""
        try:
            mode = os.stat(self._path).st_mode  # noqa: PTH116  one call on the way to each request, and no Path needed
        except FileNotFoundError:
            raise self._unreachable("there is no such socket") from None
        except PermissionError:
            raise self._forbidden() from None
        if not stat.S_ISSOCK(mode):
            raise self._unreachable("that file is not a socket")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise self._forbidden()

    def _unreachable(self, why: str) -> RuntimeUnreachable:
        return RuntimeUnreachable(
            f"no container runtime answers at {self.endpoint}",
            why=why,
            hint="start containerd or CRI-O, or name its socket with --runtime-endpoint",
        )

    def _forbidden(self) -> RuntimeForbidden:
        return RuntimeForbidden(
            f"this user may not use the container runtime at {self.endpoint}",
            why="the socket belongs to root",
            hint="run the same command as root (sudo)",
        )


def socket_path(endpoint: str) -> str:
    """The path in an endpoint: ``unix:///run/x.sock``, ``unix:/run/x.sock`` or the bare path.

    Raises:
        MalformedEndpoint: It names something else than an absolute path.
    """
    path = endpoint.removeprefix("unix:")
    path = path.removeprefix("//")
    if not path.startswith("/"):
        raise MalformedEndpoint(
            f"{endpoint!r} is no runtime endpoint",
            why="an endpoint is a unix socket with its whole path",
            hint=f"write it like {DEFAULT_ENDPOINT}",
        )
    return path


def _never_connected(details: str) -> bool:
    """Whether gRPC's UNAVAILABLE came from the connection and not from the runtime's own words."""
    return "failed to connect" in details or "Socket closed" in details or "recvmsg" in details


def _node_image(image: cri.Image) -> NodeImage:
    return NodeImage(
        id=image.id, names=tuple(image.repo_tags), digests=tuple(image.repo_digests), size=image.size
    )


def _auth(credential: Credential) -> cri.AuthConfig:
    """User name and password, and nothing else: as a kubelet does (R-SEC-5)."""
    return cri.AuthConfig(username=credential.username, password=credential.password.reveal())


def _mode(*, host: bool, own: cri.NamespaceMode) -> cri.NamespaceMode:
    return cri.NODE if host else own


def _namespaces(sandbox: SandboxConfig) -> cri.NamespaceOption:
    # CONTAINER is what a kubelet asks for where the Pod does not share one PID namespace.
    return cri.NamespaceOption(
        network=_mode(host=sandbox.host_network, own=cri.POD),
        pid=_mode(host=sandbox.host_pid, own=cri.CONTAINER),
        ipc=_mode(host=sandbox.host_ipc, own=cri.POD),
    )


def _sandbox_config(config: SandboxConfig) -> cri.PodSandboxConfig:
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=config.name, uid=config.uid, namespace=config.namespace, attempt=config.attempt
        ),
        hostname=config.hostname,
        log_directory=config.log_directory,
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent,
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=_namespaces(config)),
        ),
    )


def _int64(value: int | None) -> cri.Int64Value | None:
    return None if value is None else cri.Int64Value(value=value)


def _container_config(config: ContainerConfig, sandbox: SandboxConfig) -> cri.ContainerConfig:
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=config.name, attempt=config.attempt),
        image=cri.ImageSpec(image=config.image_id, user_specified_image=config.image),
        command=config.command,
        args=config.args,
        working_dir=config.working_dir,
        envs=[cri.KeyValue(key=key, value=value) for key, value in config.env],
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        log_path=config.log_path,
        tty=config.tty,
        linux=cri.LinuxContainerConfig(
            security_context=cri.LinuxContainerSecurityContext(
                namespace_options=_namespaces(sandbox),
                run_as_user=_int64(config.run_as_user),
                run_as_group=_int64(config.run_as_group),
                readonly_rootfs=config.read_only_root,
                no_new_privs=config.no_new_privileges,
            )
        ),
    )
