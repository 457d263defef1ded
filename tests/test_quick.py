"""A frozen dataclass made the quick way is the same dataclass."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from evalkit import model
from evalkit.quick import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    name: str
    many: list[int] = field(default_factory=list)
    rest: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


@quick
@dataclass(frozen=True, kw_only=True)
class Open:
    name: str
    many: list[int] = field(default_factory=list)


@pytest.mark.parametrize("kind", [Slotted, Open])
def test_every_value_has_defaults_of_its_own(kind):
    one, other = kind(name="a"), kind(name="a")

    assert type(one) is kind
    assert one == other
    assert one.many == []
    assert one.many is not other.many
    assert kind(name="a", many=[1]).many == [1]
    assert repr(one).startswith(f"{kind.__name__}(name='a', many=[]")


@pytest.mark.parametrize("kind", [Slotted, Open])
def test_it_stays_frozen(kind):
    one = kind(name="a")

    with pytest.raises(FrozenInstanceError):
        one.name = "b"
    with pytest.raises(FrozenInstanceError):
        del one.name


@pytest.mark.parametrize("kind", [Slotted, Open])
def test_wrong_arguments_are_refused(kind):
    with pytest.raises(TypeError, match="name"):
        kind()
    with pytest.raises(TypeError, match="other"):
        kind(name="a", other=1)
    with pytest.raises(TypeError, match="positional"):
        kind("a")


@pytest.mark.parametrize("kind", [Slotted, Open])
def test_it_is_copied_pickled_and_replaced(kind):
    one = kind(name="a", many=[1])

    assert replace(one, name="b") == kind(name="b", many=[1])
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one


def test_what_it_checks_of_itself_is_checked():
    with pytest.raises(ValueError, match="no name"):
        Slotted(name="")


def test_hashes_are_those_of_a_dataclass():
    assert hash(model.Message(role="user", content="a")) == hash(("user", "a"))
    assert [one.name for one in fields(model.Message)] == ["role", "content"]
