"""The limits as settings: read with their units, held to their bounds, and given to the registry."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from sealift.cli.limit_settings import (
    LIMIT_SETTINGS,
    connections_of,
    limits_of,
    patience_of,
)
from sealift.cli.main import sealift
from sealift.cli.server_settings import SETTINGS, BadSetting, resolve
from sealift.registry.pace import Patience
from sealift.registry.settings import Connections, Limits

DEFAULTS = {setting.name: setting.default for setting in LIMIT_SETTINGS}


def test_the_defaults_are_those_of_the_registry() -> None:
    assert (limits_of(DEFAULTS), connections_of(DEFAULTS), patience_of(DEFAULTS)) == (
        Limits(),
        Connections(),
        Patience(),
    )


def test_every_field_of_a_limit_is_a_setting() -> None:
    others = {
        setting.name: setting.default + 1
        for setting in LIMIT_SETTINGS
        if isinstance(setting.default, int | float)
    }
    changed = {**DEFAULTS, **others}
    for made, before in ((limits_of(changed), Limits()), (connections_of(changed), Connections())):
        for field in fields(made):
            assert getattr(made, field.name) == getattr(before, field.name) + 1, field.name


def test_no_settings_class_has_more_than_twelve_fields() -> None:
    for each in (Limits, Connections, Patience):
        assert len(fields(each)) <= 12


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        pytest.param("manifest-size", "8MiB", 8 << 20, id="a binary unit"),
        pytest.param("blob-size", "50GB", 50 * 10**9, id="a decimal unit"),
        pytest.param("blob-size", "2000000", 2_000_000, id="bytes"),
        pytest.param("upload-age", "90m", 5400, id="minutes"),
        pytest.param("upload-age", "7d", 7 * 86400, id="days"),
        pytest.param("reserve-free", "1GiB", 1 << 30, id="a reserve"),
        pytest.param("reserve-free", "0B", 0, id="no reserve"),
        pytest.param("reserve-free", "auto", None, id="what suits the disk"),
        pytest.param("open-uploads", "7", 7, id="a count"),
        pytest.param("least-rate", "0B", 0, id="as slowly as one likes"),
    ],
)
def test_from_the_environment_and_the_file(setting: str, text: str, value: object, tmp_path: Path) -> None:
    variable = "SEALIFT_" + setting.upper().replace("-", "_")
    won = resolve({}, {variable: text}, None)[setting]
    assert (won.value, won.source) == (value, variable)
    file = tmp_path / "sealift.toml"
    file.write_text(f"{setting} = {text if setting == 'open-uploads' else json.dumps(text)}\n")
    won = resolve({}, {}, file)[setting]
    assert (won.value, won.source) == (value, f"{file}:1")


@pytest.mark.parametrize(
    ("setting", "text", "why"),
    [
        pytest.param("manifest-size", "17MiB", "it is from 64KiB to 16MiB", id="more than the most"),
        pytest.param("manifest-size", "1", "it is from 64KiB to 16MiB", id="less than the least"),
        pytest.param("name-length", "256", "it is from 16 to 255", id="names that no client takes"),
        pytest.param("tag-length", "129", "it is from 16 to 128", id="tags that no client takes"),
        pytest.param("upload-age", "24", "it is not a duration such as 24h, 15m or 30s", id="no unit"),
        pytest.param("upload-age", "1s", "it is from 1m to 90d", id="shorter than a push"),
        pytest.param("blob-size", "4 mib", "it is not a size such as 4MiB, 50GiB or 1GB", id="no such unit"),
        pytest.param("blob-size", "-1B", "it is not a size such as 4MiB, 50GiB or 1GB", id="less than none"),
        pytest.param("page-size", "٣", "it is not a number", id="digits of another script"),
        pytest.param("reserve-free", "some", "it is not a size such as 4MiB, 50GiB or 1GB", id="a word"),
    ],
)
def test_beyond_its_bounds(setting: str, text: str, why: str) -> None:
    with pytest.raises(BadSetting) as refused:
        resolve({}, {"SEALIFT_" + setting.upper().replace("-", "_"): text}, None)
    assert refused.value.why == why


def test_what_is_shown_can_be_written() -> None:
    shown = CliRunner().invoke(sealift, ["config", "show", "-o", "json"], catch_exceptions=False)
    values = {each["name"]: each["value"] for each in json.loads(shown.output)["settings"]}
    read = {setting.name: setting.read(str(values[setting.name])) for setting in LIMIT_SETTINGS}
    assert read == DEFAULTS


def test_every_setting_says_what_it_is_for() -> None:
    assert [setting.name for setting in SETTINGS if not setting.about.endswith(".")] == []
    assert [setting.name for setting in LIMIT_SETTINGS if not setting.unit] == []
