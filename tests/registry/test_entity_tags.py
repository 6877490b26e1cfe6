"""What a request may ask of that which it changes."""

import pytest

from sealift.registry.entity_tags import Condition

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("headers", "nothing", "on_a", "on_b"),
    [
        pytest.param({}, True, True, True, id="no condition"),
        pytest.param({"if-match": f'"{A}"'}, False, True, False, id="one digest"),
        pytest.param({"if-match": f'"{A}", "{B}"'}, False, True, True, id="either"),
        pytest.param({"if-match": A}, False, True, False, id="bare"),
        pytest.param({"if-match": f'W/"{A}"'}, False, False, False, id="a weak tag does not match"),
        pytest.param({"if-match": "*"}, False, True, True, id="whatever is there"),
        pytest.param({"if-match": ""}, False, False, False, id="empty matches nothing"),
        pytest.param({"if-match": "nonsense"}, False, False, False, id="nonsense matches nothing"),
        pytest.param({"if-none-match": "*"}, True, False, False, id="only where nothing is"),
        pytest.param({"if-none-match": f'"{A}"'}, True, False, True, id="not over this one"),
        pytest.param({"if-none-match": f'W/"{A}"'}, True, False, True, id="weakly compared"),
        pytest.param({"if-match": f'"{A}"', "if-none-match": "*"}, False, False, False, id="both"),
    ],
)
def test_a_condition(headers: dict[str, str], nothing: bool, on_a: bool, on_b: bool) -> None:
    condition = Condition.of(headers)
    assert [condition.holds(current) for current in (None, A, B)] == [nothing, on_a, on_b]
