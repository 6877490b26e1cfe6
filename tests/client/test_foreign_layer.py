"""Foreign layers' addresses: https, no credential, no trust. Security table row 20 (CVE-2020-15157)."""

import pytest
from tests.client.world import blob_of, gathered
from tests.fakes.scripted_transport import Outcome, ScriptedTransport, Told

from sealift.client.errors import UnusableAnswer
from sealift.client.foreign_layer import MAX_ADDRESSES, open_foreign
from sealift.image.descriptor import Descriptor
from sealift.transport.http import NameNotResolved


def blob(*urls: str) -> Descriptor:
    plain = blob_of(b"content")
    return Descriptor(plain.media_type, plain.digest, plain.size, urls=urls)


GOOD = "https://a.test/layer"


@pytest.mark.parametrize(
    ("urls", "table"),
    [
        pytest.param((GOOD,), {f"GET {GOOD}": Told(body=b"content")}, id="there"),
        pytest.param(
            ("https://x.test/", GOOD),
            {"GET https://x.test/": NameNotResolved(""), f"GET {GOOD}": Told(body=b"content")},
            id="the first is gone",
        ),
        pytest.param(
            ("https://x.test/", GOOD),
            {"GET https://x.test/": Told(403), f"GET {GOOD}": Told(body=b"content")},
            id="the first refuses",
        ),
        pytest.param(
            ("https://x.test/",),
            {"GET https://x.test/": Told(302, {"location": GOOD}), f"GET {GOOD}": Told(body=b"content")},
            id="it has moved",
        ),
        pytest.param(
            ("http://x.test/", "file:///etc/passwd", "ftp://x/", GOOD),
            {f"GET {GOOD}": Told(body=b"content")},
            id="only https is asked",
        ),
    ],
)
async def test_the_first_address_that_has_it_is_read_without_a_credential(
    urls: tuple[str, ...], table: dict[str, Outcome]
) -> None:
    transport = ScriptedTransport(table)
    response = await open_foreign(transport, blob(*urls), "pull it")
    assert await gathered(response.body) == b"content"
    assert all("Authorization" not in request.headers for request in transport.sent)


@pytest.mark.parametrize(
    ("urls", "table"),
    [
        pytest.param((), {}, id="none"),
        pytest.param(
            ("https://x.test/",),
            {"GET https://x.test/": Told(302, {"location": "http://y.test/"})},
            id="moved to plain http",
        ),
        pytest.param(
            ("https://x.test/",),
            {"GET https://x.test/": Told(302, {"location": "https://x.test/"})},
            id="moved in circles",
        ),
        pytest.param(("https://x.test/",), {"GET https://x.test/": Told(302)}, id="moved to nowhere"),
        pytest.param(
            tuple(f"https://x{n}.test/" for n in range(100)),
            {f"GET https://x{n}.test/": Told(404) for n in range(MAX_ADDRESSES)},
            id="a hundred addresses are not all asked",
        ),
    ],
)
async def test_where_no_address_has_it_there_is_no_layer(
    urls: tuple[str, ...], table: dict[str, Outcome]
) -> None:
    with pytest.raises(UnusableAnswer):
        await open_foreign(ScriptedTransport(table), blob(*urls), "pull it")
