from sealift.transport.http import Request


def test_a_request_does_not_show_its_secrets() -> None:
    request = Request(
        method="GET", url="https://h/t?x=canary", headers={"Authorization": "canary"}, body=b"canary"
    )
    assert repr(request) == "Request(method='GET', url='https://h/t')"
