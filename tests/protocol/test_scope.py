from typing import Any

import pytest

from sealift.protocol.scope import CATALOG, Scope, parse_scopes, repository_scope, write_scopes


def scope(path: str, *actions: str) -> Scope:
    return Scope(path, frozenset(actions))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("repository:team/api:pull", scope("team/api", "pull"), id="one action"),
        pytest.param("repository:team/api:pull,push", scope("team/api", "pull", "push"), id="two"),
        pytest.param(
            "repository:team/api:push,pull", scope("team/api", "pull", "push"), id="R-AUT-10 any order"
        ),
        pytest.param("repository:x:*", scope("x", "*"), id="all"),
        pytest.param("repository:x:pull,,pull,", scope("x", "pull"), id="empty and repeated actions"),
        pytest.param("repository:x:", scope("x"), id="no action"),
        pytest.param("repository:x:meta", scope("x", "meta"), id="an action that we do not know"),
        pytest.param("repository(plugin):x:pull", scope("x", "pull"), id="R-AUT-9 a class is ignored"),
        pytest.param(
            "repository:host:5000/x:pull", scope("host:5000/x", "pull"), id="R-AUT-9 a host with a port"
        ),
        pytest.param("repository:a.b/x:pull", scope("a.b/x", "pull"), id="a host"),
        pytest.param("registry:catalog:*", CATALOG, id="the list of repositories"),
    ],
)
def test_parse(text: str, expected: Scope) -> None:
    assert Scope.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "repository",
        "repository:x",
        "repository::pull",
        "plugin:x:pull",
        "Repository:x:pull",
        "repository(:x:pull",
        "repository:X:pull",
        "repository:../x:pull",
        "repository:x//y:pull",
        "repository:x:v1:pull",
        f"repository:x@sha256:{'a' * 64}:pull",
        "repository:x:PULL",
        "repository:x:pull push",
        "repository:x:pull\n",
        "repository:x y:pull",
        "repository:" + "x" * 256 + ":pull",
        "repository:x:" + "pull," * 1000,
    ],
)
def test_what_is_no_scope(text: str) -> None:
    assert Scope.parse(text) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(
            scope("x", "push", "pull"), "repository:x:pull,push", id="as docker and containerd write it"
        ),
        pytest.param(scope("x", "zeta", "*", "delete", "push", "alpha", "pull"), None, id="one fixed order"),
        pytest.param(CATALOG, "registry:catalog:*", id="the list of repositories"),
    ],
)
def test_str(written: Scope, expected: str | None) -> None:
    assert str(written) == (expected or "repository:x:pull,push,delete,*,alpha,zeta")


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        pytest.param(scope("x", "pull", "push"), scope("x", "pull"), True, id="less"),
        pytest.param(scope("x", "pull"), scope("x", "pull"), True, id="the same"),
        pytest.param(scope("x", "pull"), scope("x", "pull", "push"), False, id="more"),
        pytest.param(scope("x", "*"), scope("x", "delete"), True, id="all holds each"),
        pytest.param(scope("x", "pull", "push", "delete"), scope("x", "*"), False, id="each is not all"),
        pytest.param(scope("x", "pull"), scope("x"), True, id="nothing"),
        pytest.param(scope("x", "pull"), scope("y", "pull"), False, id="another repository"),
        pytest.param(scope("x", "pull"), scope("x/y", "pull"), False, id="a repository below"),
        pytest.param(scope("catalog", "*"), CATALOG, False, id="another type"),
    ],
)
def test_allows(held: Scope, wanted: Scope, expected: bool) -> None:
    assert held.allows(wanted) is expected


def test_several_in_one_text() -> None:
    text = "repository:a:pull  nonsense repository:b:push,pull"
    scopes = (scope("a", "pull"), scope("b", "pull", "push"))
    assert parse_scopes(text) == scopes
    assert write_scopes(scopes) == "repository:a:pull repository:b:pull,push"
    assert parse_scopes("") == ()


def test_an_entry_of_the_access_claim() -> None:
    entry = {"type": "repository", "name": "a/b", "actions": ["pull", "push"]}
    assert Scope.from_access(entry) == scope("a/b", "pull", "push")
    assert scope("a/b", "push", "pull").to_access() == entry
    assert Scope.from_access(CATALOG.to_access()) == CATALOG


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"type": 1, "name": "x", "actions": []},
        {"type": "repository", "name": None, "actions": []},
        {"type": "repository", "name": "x", "actions": "pull"},
        {"type": "repository", "name": "x", "actions": [1]},
        {"type": "repository", "name": "../x", "actions": ["pull"]},
        {"type": "repository", "name": "x", "actions": ["pull:x:push"]},
    ],
)
def test_an_entry_that_is_none(entry: dict[str, Any]) -> None:
    assert Scope.from_access(entry) is None


def test_repository_scope() -> None:
    assert repository_scope("x", "pull", "push") == scope("x", "pull", "push")
