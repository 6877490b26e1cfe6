"""Laws of access: a grant is within what was asked for and within what is held; a pattern's prefix is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.protocol.scope import Scope
from sealift.registry.access.permissions import Grant, Pattern, RepositoryFacts, grant, rights
from sealift.registry.exchange import Principal

pytestmark = pytest.mark.laws

_names = st.sampled_from(["apps/web", "apps/db", "ashok/web", "a/b/c", "web"])
_actions = st.frozensets(st.sampled_from(["pull", "push", "delete", "*"]))
_scopes = st.lists(
    st.builds(Scope, _names, _actions, st.sampled_from(["repository", "registry"])), max_size=6
)
_held_actions = st.frozensets(st.sampled_from(["pull", "push", "delete"]))
_held = st.lists(st.builds(Scope, _names, _held_actions), max_size=6)
_elements = st.sampled_from(["apps", "ashok", "web", "db", "*"])
_patterns = st.builds(
    lambda elements, deep: Pattern.parse("/".join([*elements, *(["**"] if deep else [])])),
    st.lists(_elements, min_size=1, max_size=3),
    st.booleans(),
)
_grants = st.lists(st.builds(Grant, _patterns, _held_actions), max_size=4)


def _pairs(scopes: list[Scope] | tuple[Scope, ...]) -> set[tuple[str, str, str]]:
    return {
        (scope.resource_type, scope.repository_path, action) for scope in scopes for action in scope.actions
    }


@given(_scopes, _held)
def test_a_token_never_holds_more_than_was_asked_for_nor_more_than_is_held(
    wanted: list[Scope], held: list[Scope]
) -> None:
    granted = _pairs(grant(wanted, held))
    asked = _pairs(wanted)
    assert granted <= _pairs(held)
    assert all((kind, path, action) in asked or (kind, path, "*") in asked for kind, path, action in granted)


@given(_scopes, _held)
def test_what_was_asked_for_and_is_held_is_granted(wanted: list[Scope], held: list[Scope]) -> None:
    assert (_pairs(wanted) & _pairs(held)) <= _pairs(grant(wanted, held))


@given(_scopes, _held)
def test_granting_again_changes_nothing(wanted: list[Scope], held: list[Scope]) -> None:
    once = grant(wanted, held)
    assert grant(once, held) == once


@given(_grants, _grants, _names, st.booleans(), st.booleans())
def test_more_grants_never_take_a_right_away(
    some: list[Grant], more: list[Grant], name: str, exists: bool, public: bool
) -> None:
    somebody = Principal(id=3, name="somebody")
    facts = RepositoryFacts(name=name, exists=exists, public=public)
    assert rights(somebody, facts, some) <= rights(somebody, facts, [*some, *more])


@given(_patterns, _names)
def test_every_repository_of_a_pattern_begins_with_its_prefix(pattern: Pattern, name: str) -> None:
    assert not pattern.matches(name) or name.startswith(pattern.prefix)
    assert Pattern.parse(str(pattern)) == pattern
