from sealift.client.keyring import NoCredentials, SingleCredential
from sealift.credentials.credential import Credential, SecretText, Source

ONE = Credential(username="u", password=SecretText("p"), source=Source(kind="Flag", name="-u"), key="r.io")


async def test_a_single_credential_is_for_its_registry_and_no_other() -> None:
    keyring = SingleCredential("r.io", ONE)
    assert await keyring.credentials_for("r.io", "a/b") == (ONE,)
    assert await keyring.credentials_for("evil.r.io", "a/b") == ()
    assert await keyring.credentials_for("r.io:443", "a/b") == ()


async def test_no_credentials_are_none_for_anyone() -> None:
    assert await NoCredentials().credentials_for("r.io") == ()
