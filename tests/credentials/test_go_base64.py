"""Base64 as Go decodes it: R-PY-6, R-SEC-7."""

import pytest

from sealift.credentials.go_base64 import CorruptBase64, decode


@pytest.mark.parametrize(
    ("text", "padded", "data"),
    [
        pytest.param("", True, b"", id="nothing"),
        pytest.param("dXM6cGFzcw==", True, b"us:pass", id="padded"),
        pytest.param("dXM6cGFzcw", False, b"us:pass", id="unpadded"),
        pytest.param(
            "dXM6\r\ncGFz\ncw=\n=\n", True, b"us:pass", id="line breaks anywhere, between the pads too"
        ),
        pytest.param("dTp=", True, b"u:", id="leftover low bits"),
        pytest.param(b"dTpw", True, b"u:p", id="bytes"),
    ],
)
def test_decodes(text: str | bytes, padded: bool, data: bytes) -> None:
    assert decode(text, padded=padded) == data


@pytest.mark.parametrize(
    ("text", "padded", "offset"),
    [
        pytest.param(" dXM6cGFzcw==", True, 0, id="space in front"),
        pytest.param("dXM6cGFzcw== ", False, 10, id="space behind makes a pad of the unpadded kind"),
        pytest.param("dXM6cGFz=", True, 8, id="surplus pad"),
        pytest.param("QQ==QQ==", True, 4, id="two texts"),
        pytest.param("=", True, 0, id="a pad alone"),
        pytest.param("!!!", False, 0, id="foreign"),
        pytest.param("df_-OnD7_w==", True, 2, id="URL-safe alphabet"),
        pytest.param("QQ=", True, 3, id="one pad of two"),
        pytest.param("QQ=Q", True, 2, id="a digit where the second pad should be"),
        pytest.param("QUJDR", False, 4, id="one digit left over"),
        pytest.param("QUI", True, 0, id="no padding"),
        pytest.param("QUJDQU\n", True, 5, id="line breaks count in the place"),
        pytest.param("Q=", True, 1, id="a pad after one digit"),
        pytest.param("QQ\n=\n", True, 5, id="the end where the second pad should be"),
        pytest.param("QQ==\nx", True, 5, id="something behind the padding"),
        pytest.param("QUJDé", True, 4, id="not ASCII"),
    ],
)
def test_refuses_with_the_byte_that_go_names(text: str, padded: bool, offset: int) -> None:
    with pytest.raises(CorruptBase64) as caught:
        decode(text, padded=padded)
    assert str(caught.value) == f"illegal base64 data at input byte {offset}"
