import pytest

from sealift.protocol.scope import Scope
from sealift.registry.access.permissions import (
    ALL_ACTIONS,
    Grant,
    MalformedPattern,
    Pattern,
    RepositoryFacts,
    covered,
    grant,
    is_owner,
    rights,
)
from sealift.registry.exchange import ANONYMOUS, Principal

ASHOK = Principal(id=7, name="ashok")
ADMIN = Principal(id=1, name="admin", is_admin=True)

PULL = frozenset({"pull"})
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("pattern", "repository", "matches"),
    [
        pytest.param("apps/internal-app", "apps/internal-app", True, id="a path is itself"),
        pytest.param("apps/internal-app", "apps/internal-app/sub", False, id="and nothing below it"),
        pytest.param("apps/internal-app", "apps/internal", False, id="nor what it begins with"),
        pytest.param("apps/*", "apps/web", True, id="a star is one element"),
        pytest.param("apps/*", "apps/team/web", False, id="a star is not two elements"),
        pytest.param("apps/*", "apps", False, id="a star is not no element"),
        pytest.param("apps/*", "apps2/web", False, id="the elements before count whole"),
        pytest.param("*/web", "apps/web", True, id="a star in front"),
        pytest.param("apps/*/web", "apps/team/web", True, id="a star in the middle"),
        pytest.param("*", "web", True, id="a star alone is a path of one element"),
        pytest.param("*", "apps/web", False, id="and not of two"),
        pytest.param("apps/**", "apps/web", True, id="two stars are one element"),
        pytest.param("apps/**", "apps/team/web/x", True, id="or more"),
        pytest.param("apps/**", "apps", False, id="and not none"),
        pytest.param("apps/**", "app/web", False, id="two stars, other element"),
        pytest.param("**", "a/b/c", True, id="two stars alone are everything"),
        pytest.param("apps/*/**", "apps/a/b/c", True, id="star and two stars"),
        pytest.param("apps/*/**", "apps/a", False, id="star and two stars need two elements"),
    ],
)
def test_a_pattern_matches_whole_elements(pattern: str, repository: str, matches: bool) -> None:
    assert Pattern.parse(pattern).matches(repository) is matches
    assert str(Pattern.parse(pattern)) == pattern


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("/", id="two empty elements"),
        pytest.param("apps/", id="an empty element at the end"),
        pytest.param("apps//web", id="an empty element between"),
        pytest.param("app*/web", id="a star inside an element"),
        pytest.param("apps/w*", id="a star at the end of an element"),
        pytest.param("**/web", id="two stars that are not last"),
        pytest.param("apps/***", id="three stars"),
        pytest.param("Apps/web", id="upper case"),
        pytest.param("apps/web:v1", id="a tag"),
        pytest.param("apps/..", id="dots"),
        pytest.param("apps/we b", id="a space"),
        pytest.param("apps/web\n", id="a newline at the end"),
        pytest.param("ä/web", id="not ASCII"),
        pytest.param("a" * 256, id="longer than a repository's path"),
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(MalformedPattern) as refused:
        Pattern.parse(text)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("apps/*", "apps/"), ("apps/web", "apps/web"), ("*/web", ""), ("a/b/**", "a/b/"), ("**", "")],
)
def test_the_prefix_is_what_all_of_its_repositories_begin_with(pattern: str, prefix: str) -> None:
    assert Pattern.parse(pattern).prefix == prefix


PRIVATE = RepositoryFacts(name="apps/web", exists=True)
PUBLIC = RepositoryFacts(name="apps/web", exists=True, public=True)
ABSENT = RepositoryFacts(name="apps/web", exists=False)
OWNED = RepositoryFacts(name="ashok/web", exists=True, owner_id=7)
INHERITED_NAME = RepositoryFacts(name="ashok/web", exists=True, owner_id=3)
OWNERLESS = RepositoryFacts(name="ashok/web", exists=True, owner_id=None)
OWN_ABSENT = RepositoryFacts(name="ashok/web", exists=False)

PULL_APPS = Grant(Pattern.parse("apps/*"), PULL)
PUSH_APPS = Grant(Pattern.parse("apps/**"), frozenset({"push"}))
PULL_OTHER = Grant(Pattern.parse("other/*"), PULL)


@pytest.mark.parametrize(
    ("principal", "repository", "grants", "expected"),
    [
        pytest.param(ANONYMOUS, PRIVATE, (), NONE, id="nobody, private"),
        pytest.param(ANONYMOUS, PUBLIC, (), PULL, id="nobody, public"),
        pytest.param(ANONYMOUS, ABSENT, (), NONE, id="nobody, absent"),
        pytest.param(ASHOK, PRIVATE, (), NONE, id="a stranger, private"),
        pytest.param(ASHOK, PUBLIC, (), PULL, id="a stranger, public"),
        pytest.param(ASHOK, PRIVATE, (PULL_APPS,), PULL, id="a grant gives its action"),
        pytest.param(ASHOK, PRIVATE, (PULL_OTHER,), NONE, id="and only where its pattern says"),
        pytest.param(ASHOK, PRIVATE, (PULL_APPS, PUSH_APPS), frozenset({"pull", "push"}), id="grants add up"),
        pytest.param(ASHOK, PRIVATE, (PUSH_APPS,), frozenset({"push"}), id="push without pull"),
        pytest.param(
            ASHOK, ABSENT, (PUSH_APPS,), frozenset({"push"}), id="a grant holds before the first push"
        ),
        pytest.param(ASHOK, PUBLIC, (PUSH_APPS,), frozenset({"pull", "push"}), id="public adds pull"),
        pytest.param(ASHOK, OWNED, (), ALL_ACTIONS, id="an owner may all"),
        pytest.param(ASHOK, OWN_ABSENT, (), ALL_ACTIONS, id="under one's own name, before it is there"),
        pytest.param(ASHOK, INHERITED_NAME, (), NONE, id="the name of a former account gives nothing"),
        pytest.param(ASHOK, OWNERLESS, (), NONE, id="nor does one that was there before the account"),
        pytest.param(ADMIN, PRIVATE, (), ALL_ACTIONS, id="an admin may all"),
        pytest.param(ADMIN, ABSENT, (), ALL_ACTIONS, id="an admin makes repositories"),
    ],
)
def test_rights(
    principal: Principal, repository: RepositoryFacts, grants: tuple[Grant, ...], expected: frozenset[str]
) -> None:
    assert rights(principal, repository, grants) == expected


def test_nobody_owns_anything() -> None:
    assert not is_owner(ANONYMOUS, RepositoryFacts(name="anonymous/web", exists=False))
    assert not is_owner(ANONYMOUS, RepositoryFacts(name="x/web", exists=True, owner_id=None))


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        pytest.param({"pull"}, {"pull", "push"}, {"pull"}, id="what is asked for"),
        pytest.param({"pull", "push"}, {"pull"}, {"pull"}, id="what is held"),
        pytest.param({"*"}, {"pull", "push"}, {"pull", "push"}, id="a star asks for all that is held"),
        pytest.param({"delete"}, {"*"}, {"delete"}, id="a star that is held is everything"),
        pytest.param({"*"}, set(), set(), id="a star asks for nothing where nothing is held"),
        pytest.param({"fly"}, {"pull"}, set(), id="an action that nobody knows"),
    ],
)
def test_covered(wanted: set[str], held: set[str], expected: set[str]) -> None:
    assert covered(frozenset(wanted), frozenset(held)) == expected


def test_a_grant_leaves_out_what_is_not_held_and_answers_a_repository_once() -> None:
    wanted = [
        Scope("apps/web", frozenset({"pull"})),
        Scope("apps/web", frozenset({"push"})),
        Scope("apps/secret", frozenset({"pull"})),
        Scope("catalog", frozenset({"*"}), "registry"),
    ]
    held = [
        Scope("apps/web", frozenset({"pull", "push", "delete"})),
        Scope("apps/secret", frozenset()),
        Scope("catalog", frozenset({"pull"})),  # a repository of that name is no part of the registry
    ]
    assert grant(wanted, held) == (Scope("apps/web", frozenset({"pull", "push"})),)
