"""Which proxy, if any, a request goes through: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``.

Spec: Go's golang.org/x/net/http/httpproxy, which docker, containerd, kubectl
and the kubelet use, so that a machine set up for those is set up for us.
What that means where programs differ:

* the lower-case spelling wins over the upper-case one;
* ``localhost`` and loopback addresses never go through a proxy;
* ``NO_PROXY`` holds names (``example.com`` and all below it), names with a dot in front (only what is below),
  ``*``, addresses and CIDR ranges, each with ``:port`` if it is for that port only;
* ``ALL_PROXY`` is not read.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL for a request to `url`, or None for a direct connection."""
    parts = urlsplit(url)
    proxy = _setting(environment, f"{parts.scheme}_proxy")
    host = (parts.hostname or "").rstrip(".").lower()
    if not proxy or not host or _is_loopback(host):
        return None
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    for entry in _setting(environment, "no_proxy").replace(" ", ",").split(","):
        if entry and _excludes(entry.strip().lower(), host, port):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _setting(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _excludes(entry: str, host: str, port: int) -> bool:
    """Whether one entry of ``NO_PROXY`` covers this host and port."""
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, port_text = entry.rpartition(":")
    if colon and port_text.isdigit() and _address(entry) is None:
        if int(port_text) != port:
            return False
        entry = name
    if (listed := _address(entry)) is not None:
        return listed == address
    entry = entry.removeprefix("*")
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith(f".{entry}")
