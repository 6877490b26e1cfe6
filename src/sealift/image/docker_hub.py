"""What everybody has to know about Docker Hub by heart.

One registry goes by four names, and which one is right depends on who asks
(R-REF-25).
"""

from typing import Final

DOMAIN: Final = "docker.io"
"""In a reference, where it is the default and may be left out."""

LEGACY_DOMAIN: Final = "index.docker.io"
"""In old references; it reads as `DOMAIN`."""

DIAL_HOST: Final = "registry-1.docker.io"
"""The host that is contacted."""

CREDENTIAL_KEY: Final = "https://index.docker.io/v1/"
"""The key of its credentials in login files and Secrets."""

AUTH_REALM_HOST: Final = "auth.docker.io"
"""The host that issues its tokens."""

AUTH_SERVICE: Final = "registry.docker.io"
"""The service that its tokens are for."""

OFFICIAL_NAMESPACE: Final = "library"
"""Where an image lives whose name is one word (R-REF-13, R-REF-24)."""

HOSTS: Final = frozenset({DOMAIN, LEGACY_DOMAIN, DIAL_HOST})
"""Every host name that means Docker Hub to somebody."""


def dial_host(registry: str) -> str:
    """The host to contact for `registry`: itself, but for Docker Hub."""
    return DIAL_HOST if registry in {DOMAIN, LEGACY_DOMAIN} else registry


def credential_key(registry: str) -> str:
    """The key under which docker files the credentials of `registry`."""
    return CREDENTIAL_KEY if registry in HOSTS else registry
