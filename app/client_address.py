"""Who is at the other end: the address of a client, also behind proxies that are ours."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDING_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
MAX_HOPS = 32

IPV6_PREFIX = 64
"""One customer of a provider has at least so many bits of IPv6 addresses to choose from."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from."""

    network: str
    """The unit that limits count by: an IPv4 address, or the /64 of an IPv6 address."""
    is_local: bool
    """Certainly this machine: it came over the loopback interface and nothing passed it on."""


def client_of(scope: Scope, trusted: Sequence[Network]) -> Client:
    """The client of a request.

    `X-Forwarded-For` counts only where the connection comes from a `trusted` proxy, and is read
    from its end: what stands before the first untrusted address was written by whoever is there.
    """
    peer = _parse(scope["client"][0]) if scope.get("client") else None
    if peer is None:
        return Client("unknown", is_local=False)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if _is_within(peer, trusted):
        origin = _first_untrusted(_forwarded_for(headers), trusted) or peer
        return Client(_network(origin), is_local=origin is not peer and origin.is_loopback)
    passed_on = any(name in FORWARDING_HEADERS for name, _ in headers)
    return Client(_network(peer), is_local=peer.is_loopback and not passed_on)


def _forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    values = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    return [part.strip() for value in values for part in value.split(",")][-MAX_HOPS:]


def _first_untrusted(hops: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The last address of the chain that no proxy of ours has."""
    nearest: Address | None = None
    for hop in reversed(hops):
        address = _parse(hop)
        if address is None:
            break
        nearest = address
        if not _is_within(address, trusted):
            break
    return nearest


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _is_within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _network(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
