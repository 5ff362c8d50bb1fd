"""Which client a request counts for."""

from ipaddress import ip_network

import pytest

from app.client_address import Client, client_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def client(peer, *forwarded, trusted=PROXIES, name=b"x-forwarded-for"):
    headers = [(name, value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1234) if peer else None, "headers": headers}
    return client_of(scope, trusted)


def test_a_direct_connection_counts_for_its_own_address():
    assert client("192.0.2.7") == Client("192.0.2.7", is_local=False)
    assert client("127.0.0.1") == Client("127.0.0.1", is_local=True)
    assert client("::1").is_local


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"x-real-ip"])
def test_what_a_stranger_says_of_itself_is_not_believed(name):
    assert client("192.0.2.7", "127.0.0.1", name=name) == Client("192.0.2.7", is_local=False)
    # A proxy of this machine that nobody told us of: its clients are anywhere.
    assert client("127.0.0.1", "127.0.0.1", name=name) == Client("127.0.0.1", is_local=False)


def test_behind_a_trusted_proxy_the_last_untrusted_address_counts():
    assert client("10.0.0.1", "192.0.2.7").network == "192.0.2.7"
    assert client("10.0.0.1", "203.0.113.9, 192.0.2.7").network == "192.0.2.7"
    assert client("10.0.0.1", "203.0.113.9, 192.0.2.7, 10.9.9.9").network == "192.0.2.7"
    assert client("10.0.0.1", "203.0.113.9", "192.0.2.7").network == "192.0.2.7"


def test_a_broken_or_missing_chain_counts_for_the_proxy():
    assert client("10.0.0.1").network == "10.0.0.1"
    assert client("10.0.0.1", "nonsense").network == "10.0.0.1"
    assert client("10.0.0.1", "192.0.2.7, nonsense, 10.0.0.2").network == "10.0.0.2"
    assert client("10.0.0.1", ", ".join(["192.0.2.7"] * 5_000)).network == "192.0.2.7"


def test_a_trusted_proxy_can_say_that_it_was_this_machine():
    trusted = (ip_network("127.0.0.1"),)
    assert client("127.0.0.1", "127.0.0.1", trusted=(ip_network("::1"),)).is_local is False
    assert client("127.0.0.1", "192.0.2.7", trusted=trusted) == Client("192.0.2.7", is_local=False)
    assert client("127.0.0.1", trusted=trusted).is_local is False


def test_addresses_of_one_ipv6_network_count_together():
    assert client("2001:db8::1").network == client("2001:db8::ffff:2").network == "2001:db8::/64"
    assert client("2001:db8:0:1::1").network == "2001:db8:0:1::/64"
    assert client("fe80::1%eth0").network == "fe80::/64"


def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address():
    assert client("::ffff:192.0.2.7") == Client("192.0.2.7", is_local=False)
    assert client("::ffff:10.0.0.1", "192.0.2.7").network == "192.0.2.7"
    assert client("::ffff:127.0.0.1").is_local


def test_a_client_without_an_address_is_not_taken_for_this_machine():
    assert client(None) == client("somewhere") == Client("unknown", is_local=False)
