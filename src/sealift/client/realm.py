"""May this registry send us there for a token, and may our credential come along?

A registry names its token server in the challenge, and the credential goes to
whatever it names. Where nobody looks at that name, one line in an answer that
an attacker can write takes the password away (CVE-2026-33540 in distribution,
CVE-2026-12566 in a scanner of registries).

| the realm | without a credential | with one |
|---|---|---|
| scheme, host and port of the registry | yes | yes |
| plain http, anything else | no | no |
| an address that is private, loopback, link-local or unspecified | no | no |
| https, the registry's host at another port | yes | yes |
| https, a host in the registry's domain (``auth.example.com`` of ``registry.example.com``) | yes | yes |
| https, the known pairs (Docker Hub's ``auth.docker.io``) | yes | yes |
| https, a host that the user named | yes | yes |
| https, any other name | yes | no |

Spec: R-AUT-5 (go-containerregistry's rules; the last row is stricter than
those, see spec of CVE-2026-33540), registry security row 7.
"""

from enum import Enum

from sealift.client.origin import Origin
from sealift.image import docker_hub

KNOWN_REALM_HOSTS = {
    docker_hub.DIAL_HOST: frozenset({docker_hub.AUTH_REALM_HOST}),
    "registry.hub.docker.com": frozenset({docker_hub.AUTH_REALM_HOST}),
    "dhi.io": frozenset({docker_hub.AUTH_REALM_HOST}),
    "lscr.io": frozenset({"ghcr.io"}),
}
"""Registries whose token server lives under another name, as their operators document it."""

_SHARED_SECOND_LEVELS = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gouv", "mil", "ne", "net", "or", "org"}
)
"""``co.uk``, ``com.au``: under these and a country, a domain is three labels long."""


class RealmTrust(Enum):
    """What a token server may get from us."""

    CREDENTIAL = "credential"
    ANONYMOUS = "anonymous"
    NOTHING = "nothing"


def judge_realm(
    realm: str, registry: Origin, named_by_user: frozenset[str] = frozenset()
) -> tuple[RealmTrust, str]:
    """How far `realm` is trusted when `registry` names it, and the reason in words.

    Args:
        realm: The URL from the challenge, or where a token request was redirected to.
        registry: Where the challenge came from.
        named_by_user: Hosts (``host`` or ``host:port``) that the user trusts as token servers.
    """
    try:
        origin = Origin.of(realm)
    except ValueError as error:
        return RealmTrust.NOTHING, f"the realm is not usable: {error}"
    if "@" in realm.partition("//")[2].partition("/")[0]:
        return RealmTrust.NOTHING, "the realm carries a user name"
    if origin == registry:
        return RealmTrust.CREDENTIAL, "it is the registry itself"
    if origin.scheme == "http":
        return RealmTrust.NOTHING, "the realm is plain http and not the registry itself"
    address = origin.address
    if origin.is_loopback or (address is not None and not address.is_global):
        return RealmTrust.NOTHING, "the realm is an address of a private network and not the registry itself"
    if origin.host == registry.host:
        return RealmTrust.CREDENTIAL, "it is the registry's host"
    if named_by_user & {origin.host, origin.authority, f"{origin.host}:{origin.port}"}:
        return RealmTrust.CREDENTIAL, "the user named it"
    if origin.host in KNOWN_REALM_HOSTS.get(registry.host, frozenset()):
        return RealmTrust.CREDENTIAL, "it is known to be the registry's token server"
    if registry.address is None and (site := _site(registry.host)) and site == _site(origin.host):
        return RealmTrust.CREDENTIAL, "it is in the registry's domain"
    return RealmTrust.ANONYMOUS, "the realm is in another domain than the registry"


def _site(host: str) -> str:
    """The domain that one owner can be expected behind, or nothing for a name of one label."""
    labels = host.split(".")
    if len(labels) < 2:  # noqa: PLR2004  one label is a name in somebody's search path, and no domain
        return ""
    shared = len(labels[-1]) == 2 and labels[-2] in _SHARED_SECOND_LEVELS  # noqa: PLR2004  a country has two letters
    if shared and len(labels) < 3:  # noqa: PLR2004  co.uk itself
        return ""
    return ".".join(labels[-3:] if shared else labels[-2:])
