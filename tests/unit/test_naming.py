"""What a stack's resources are called."""

import re
from itertools import pairwise

import pytest

from settings import resource_name

# ImportKeyPair's rule, with what the program adds to the name (a dash and eight digits).
ALLOWED = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{1,118}")


@pytest.mark.parametrize("stack", ["dev", "prod", "review-12", "a_b"])
def test_an_ordinary_name_stays_as_it_is(stack: str) -> None:
    assert resource_name("flask-on-ecs", stack) == f"flask-on-ecs-{stack}"


@pytest.mark.parametrize("stack", ["v1.2", "a" * 99, "a.b" * 33, "." * 50])
def test_what_the_cloud_would_refuse_is_made_safe(stack: str) -> None:
    assert ALLOWED.fullmatch(resource_name("flask-on-ecs", stack))
    assert ALLOWED.fullmatch(resource_name("9lives", stack))
    assert ALLOWED.fullmatch(resource_name("p" * 100, stack))


def test_two_stacks_never_share_a_name() -> None:
    stacks = ["v1.2", "v1-2", "v1_2", "a" * 98, "a" * 99, "a" * 97 + ".", "a" * 97 + "-"]
    names = [resource_name("flask-on-ecs", stack) for stack in stacks]
    assert all(one != other for one, other in pairwise(sorted(names)))
