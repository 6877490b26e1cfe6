"""What can go wrong between us and a container runtime.

The hierarchy:

* RuntimeUnreachable    no answer: no socket, or nobody behind it
  - MalformedEndpoint   what was given is no endpoint
* RuntimeForbidden      a socket, and no right to it
* RuntimeRefused        an answer, and it is an error: a gRPC code and a text
* NoPodNetwork          a runtime that can run only Pods of the host's network
"""

from typing import ClassVar

from sealift.errors import SealiftError


class RuntimeUnreachable(SealiftError):
    """No container runtime answered at the endpoint. The message says which."""

    exit_status: ClassVar[int] = 6


class MalformedEndpoint(RuntimeUnreachable):
    """The endpoint is no socket that anybody could answer at: wrong usage."""

    exit_status: ClassVar[int] = 2


class RuntimeForbidden(SealiftError):
    """The runtime's socket is there and this user may not use it."""

    exit_status: ClassVar[int] = 8


class RuntimeRefused(SealiftError):
    """The runtime answered a call with an error.

    A kubelet shows such errors to people, and what it shows depends on the
    code (R-IMG-15): so both parts are kept as they came.

    Attributes:
        call: The call of the interface, such as ``PullImage``.
        code: The gRPC code in Go's spelling, such as ``Unknown`` or ``NotFound``.
        description: The text as the runtime wrote it. It may hold a host name
            and an image name; no runtime puts a password there.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, *, call: str, code: str, description: str) -> None:
        super().__init__(f"the container runtime answered {call} with {code}", why=description)
        self.call = call
        self.code = code
        self.description = description


class NoPodNetwork(SealiftError):
    """A Pod wants a network of its own, and the runtime has none to give."""

    exit_status: ClassVar[int] = 8
