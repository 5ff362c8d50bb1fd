"""A file arrives whole, from servers that cut, refuse, change their mind or know no ranges."""

import hashlib
import os

import httpx
import pytest

from tests.training.download.faulty_server import FaultyServer, Served
from training.download.transfer import FRUITLESS, DownloadError, digest, fetch

CONTENT = os.urandom(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def get(server, tmp_path):
    """Fetches `/file` to `corpus.zip`."""

    def get(**options):
        with httpx.Client(timeout=5) as client:
            return fetch(
                client,
                f"{server.address}/file",
                tmp_path / "corpus.zip",
                **{"wait_seconds": 0.0} | options,
            )

    return get


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_and_its_digest_are_what_was_published(server, get, tmp_path):
    server.serve("/file", CONTENT)
    heard = []
    assert get(progress=lambda arrived, total: heard.append((arrived, total))) == SHA256
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    assert digest(tmp_path / "corpus.zip") == SHA256
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert left(tmp_path) == ["corpus.zip"]


def test_a_cut_connection_goes_on_where_it_broke_off(server, get, tmp_path):
    served = server.serve("/file", CONTENT, cuts=[70_000, 50_000, 0])
    assert get() == SHA256
    ranges = [request.get("Range") for request in served.requests]
    assert ranges == [None, "bytes=70000-", "bytes=120000-", "bytes=120000-"]
    assert {request.get("If-Range") for request in served.requests[1:]} == {'"one"'}
    assert left(tmp_path) == ["corpus.zip"]


def test_a_later_call_goes_on_too(server, get, tmp_path):
    served = server.serve("/file", CONTENT, cuts=[70_000] + [0] * FRUITLESS)
    with pytest.raises(DownloadError, match="70,000 bytes are kept"):
        get()
    assert left(tmp_path) == ["corpus.zip.part", "corpus.zip.validator"]
    assert get() == SHA256
    assert served.requests[-1]["Range"] == "bytes=70000-"


def test_a_server_without_ranges_sends_all_again(server, get, tmp_path):
    served = server.serve("/file", CONTENT, ranges=False, cuts=[70_000])
    assert get() == SHA256
    assert len(served.requests) == 2
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT


def test_a_server_that_tells_no_version_is_never_trusted_with_a_part(server, get):
    served = server.serve("/file", CONTENT, tag=None, cuts=[70_000])
    assert get() == SHA256
    assert [request.get("Range") for request in served.requests] == [None, None]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_in_between_is_fetched_anew(server, get, tmp_path, ranges):
    other = os.urandom(150_000)
    served = server.serve("/file", CONTENT, cuts=[70_000])
    served.changes_to = Served(other, tag='"two"', ranges=ranges)
    assert get() == hashlib.sha256(other).hexdigest()
    assert (tmp_path / "corpus.zip").read_bytes() == other


def test_a_server_that_ignores_the_condition_is_caught_by_its_new_version(server, get, tmp_path):
    other = os.urandom(150_000)
    served = server.serve("/file", CONTENT, cuts=[70_000])
    served.changes_to = Served(other, tag='"two"', heeds_conditions=False)
    assert get() == hashlib.sha256(other).hexdigest()
    assert (tmp_path / "corpus.zip").read_bytes() == other


def test_a_part_longer_than_the_file_is_thrown_away(server, get):
    shorter = CONTENT[:60_000]
    server.serve("/file", CONTENT, cuts=[70_000]).changes_to = Served(shorter)
    assert get() == hashlib.sha256(shorter).hexdigest()


def test_a_wrong_digest_is_refused_and_nothing_stays(server, get, tmp_path):
    server.serve("/file", CONTENT)
    with pytest.raises(DownloadError, match=f"has SHA-256 {SHA256}, but 0000"):
        get(sha256="0" * 64)
    assert left(tmp_path) == []
    assert get(sha256=SHA256) == SHA256


def test_a_file_that_is_not_there_is_said_at_once(get, tmp_path):
    with pytest.raises(DownloadError, match=r"/file: 404 Not Found; the corpus may have moved"):
        get()
    assert left(tmp_path) == []


def test_a_busy_server_is_asked_again(server, get):
    served = server.serve("/file", CONTENT, statuses=[503, 429])
    assert get() == SHA256
    assert len(served.requests) == 3


def test_a_server_that_stays_broken_is_given_up(server, get):
    served = server.serve("/file", CONTENT, statuses=[500] * 20)
    with pytest.raises(DownloadError, match=f"answers 500 .*, {FRUITLESS} times in a row"):
        get()
    assert len(served.requests) == FRUITLESS


def test_a_server_that_redirects_in_a_circle_is_given_up(tmp_path):
    def again(request):
        return httpx.Response(302, headers={"Location": str(request.url)})

    with (
        httpx.Client(transport=httpx.MockTransport(again), follow_redirects=True) as client,
        pytest.raises(DownloadError, match="redirect"),
    ):
        fetch(client, "http://corpora.test/file", tmp_path / "x", wait_seconds=0.0)


def test_nobody_listening_is_one_line(tmp_path):
    with FaultyServer() as gone:
        address = gone.address
    with (
        httpx.Client(timeout=5) as client,
        pytest.raises(DownloadError, match=f"{FRUITLESS} times in a row"),
    ):
        fetch(client, f"{address}/file", tmp_path / "x", wait_seconds=0.0)
