"""The engine against a small program and resources that only remember: what is created, changed, kept and deleted."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from progress import DeploymentError, Operation
from sandbox import program, values
from sandbox.configuration import Configuration
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.resources import Kind, Kinds, Made
from sandbox.state import State, Status

THING = "test:index:Thing"
COPY = "command:remote:CopyToRemote"
PRELUDE = """
import pulumi

class Thing(pulumi.CustomResource):
    made: pulumi.Output[str]
    def __init__(self, name, opts=None, **inputs):
        super().__init__("test:index:Thing", name, {**inputs, "made": None}, opts)
"""


class World:
    """Where the things are, and what was done to them, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.things: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.warnings: list[str] = []
        self.on_create: Callable[[str], None] = lambda name: None
        self.on_update: Callable[[str], None] = lambda name: None

    def kinds(self) -> Kinds:
        def create(entry: Any, say: Any, seconds: float | None) -> Made:
            self.log.append(f"create {entry.name}")
            self.things[entry.id] = values.unwrapped(entry.inputs)
            self.on_create(entry.name)
            return Made({"made": f"{entry.name}:{entry.id[:4]}"})

        def update(old: Any, goal: Any, say: Any, seconds: float | None) -> Made:
            self.log.append(f"update {goal.name}")
            self.on_update(goal.name)
            self.things[old.id] = values.unwrapped(goal.inputs)
            return Made(old.outputs)

        def delete(entry: Any, say: Any) -> None:
            self.log.append(f"delete {entry.name}")
            self.things.pop(entry.id, None)

        kind = Kind(frozenset({"size"}), lambda token: token, create, update, delete)
        return Kinds({THING: kind, COPY: kind}, {})

    def run(self, source: str, *, preview: bool = False) -> Engine:
        """Run a program; what was logged before is cleared."""
        self.log.clear()
        (self.folder / "__main__.py").write_text(PRELUDE + textwrap.dedent(source))
        engine = Engine(self.state(), self.kinds(), lambda event: None, preview=preview)
        program.run(
            self.folder,
            "project",
            "test",
            Configuration({}, ()),
            engine,
            preview=preview,
            warn=self.warnings.append,
        )
        if not engine.failures:
            engine.delete_the_rest()
        return engine

    def run_and_be_killed(self, source: str) -> None:
        """Run a program in a process that ends, without another word, when a thing is made or changed."""

        def die(name: str) -> None:
            os._exit(9)

        child = os.fork()
        if child == 0:
            self.on_create = self.on_update = die
            self.run(source)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    def state(self) -> State:
        return State(self.folder / "state")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def operations(engine: Engine) -> dict[str, Operation]:
    return {step.name: step.operation for step in engine.steps}


TWO = """
    first = Thing("first", colour="red")
    Thing("second", of=first.made)
    pulumi.export("made", first.made)
"""


def test_creates_in_the_order_of_dependencies_and_gives_outputs(world: World) -> None:
    engine = world.run(TWO)
    assert world.log == ["create first", "create second"]
    assert engine.outputs["made"].startswith("first:")
    assert sorted(thing.get("of", "") for thing in world.things.values()) == ["", engine.outputs["made"]]


def test_a_second_run_does_nothing(world: World) -> None:
    world.run(TWO)
    engine = world.run(TWO)
    assert world.log == []
    assert set(operations(engine).values()) == {Operation.SAME}


def test_a_preview_does_nothing_and_says_what_would_be_done(world: World) -> None:
    engine = world.run(TWO, preview=True)
    assert operations(engine) == {"first": Operation.CREATE, "second": Operation.CREATE}
    assert world.log == []
    assert not (world.folder / "state").exists()


def test_a_changed_input_updates_in_place(world: World) -> None:
    world.run(TWO)
    preview = world.run(TWO.replace("red", "blue"), preview=True)
    assert operations(preview) == {"first": Operation.UPDATE, "second": Operation.SAME}
    assert preview.steps[0].changed == ("colour",)
    world.run(TWO.replace("red", "blue"))
    assert world.log == ["update first"]
    assert {"colour": "blue"} in [
        {key: value for key, value in thing.items() if key == "colour"} for thing in world.things.values()
    ]


def test_a_replacement_makes_the_new_before_it_deletes_the_old(world: World) -> None:
    world.run('Thing("one", size=1)')
    engine = world.run('Thing("one", size=2)')
    assert world.log == ["create one", "delete one"]
    assert [thing["size"] for thing in world.things.values()] == [2]
    assert engine.steps[0].operation is Operation.REPLACE


def test_replace_on_changes_and_ignore_changes(world: World) -> None:
    source = """
        Thing("one", colour="{0}", opts=pulumi.ResourceOptions(replace_on_changes=["colour"]))
        Thing("two", colour="{0}", opts=pulumi.ResourceOptions(ignore_changes=["colour"]))
    """
    world.run(source.format("red"))
    engine = world.run(source.format("blue"))
    assert operations(engine)["two"] is Operation.SAME
    assert world.log == ["create one", "delete one"]


def test_what_the_program_no_longer_has_is_deleted_dependents_first(world: World) -> None:
    world.run(TWO)
    world.run("")
    assert world.log == ["delete second", "delete first"]
    assert world.things == {}
    assert world.state().entries == {}


def test_deleted_with_leaves_the_deletion_to_the_other_one(world: World) -> None:
    source = """
        first = Thing("first")
        Thing("second", opts=pulumi.ResourceOptions(deleted_with=first, depends_on=first))
    """
    world.run(source)
    world.run("")
    assert world.log == ["delete first"]
    assert world.state().entries == {}


def test_a_protected_resource_is_not_deleted(world: World) -> None:
    world.run('Thing("one", opts=pulumi.ResourceOptions(protect=True))')
    engine = world.run("")
    assert world.log == []
    assert "protect" in engine.failures[0][1]
    assert len(world.state().entries) == 1


def test_a_failure_stops_what_depends_on_it_and_nothing_else(world: World) -> None:
    def refuse(name: str) -> None:
        if name == "first":
            raise SandboxError("no room")

    world.on_create = refuse
    engine = world.run(TWO + '    Thing("third")\n')
    assert sorted(world.log) == ["create first", "create third"]
    assert [(step.name, text) for step, text in engine.failures] == [("first", "no room")]
    world.on_create = lambda name: None
    world.run(TWO + '    Thing("third")\n')
    assert world.log == ["create first", "create second"]
    assert len(world.things) == 3


def test_a_failed_replacement_leaves_the_old_one_in_place(world: World) -> None:
    world.run('Thing("one", size=1)')

    def refuse(name: str) -> None:
        raise SandboxError("no room")

    world.on_create = refuse
    world.run('Thing("one", size=2)')
    assert [entry.inputs["size"] for entry in world.state().entries.values()] == [1]
    # Back to what there was: the half-made one goes, the old one's inputs are applied again, to be sure of them.
    world.on_create = lambda name: None
    world.run('Thing("one", size=1)')
    assert world.log == ["update one", "delete one"]
    assert [thing["size"] for thing in world.things.values()] == [1]
    world.run('Thing("one", size=1)')
    assert world.log == []


@pytest.mark.parametrize("size", [1, 2])
def test_a_run_killed_in_a_create_is_continued_under_the_same_id(world: World, size: int) -> None:
    world.run_and_be_killed(f'Thing("one", size={size})')
    (begun,) = world.state().entries.values()
    assert begun.status is Status.CREATING
    world.run('Thing("one", size=1)')
    assert world.log == ["create one"]
    assert list(world.things) == [begun.id]


def test_a_run_killed_in_an_update_applies_it_again(world: World) -> None:
    world.run('Thing("one", colour="red")')
    world.run_and_be_killed('Thing("one", colour="blue")')
    # Even back to the old value: nobody knows how far the update came.
    world.run('Thing("one", colour="red")')
    assert world.log == ["update one"]


def test_a_run_killed_in_a_replacement_removes_the_half_made_one(world: World) -> None:
    world.run('Thing("one", size=1)')
    world.run_and_be_killed('Thing("one", size=2)')
    world.run('Thing("one", size=2)')
    assert world.log == ["create one", "delete one", "delete one"]
    assert [thing["size"] for thing in world.things.values()] == [2]
    assert world.state().discarded == []


COPIED = """
    first = Thing("first")
    copy = pulumi.CustomResource("command:remote:CopyToRemote", "copy", {{
        "connection": {{"host": "203.0.113.10"}}, "source": {source}, "remotePath": "/tmp/a", "triggers": [first.id],
    }})
    Thing("third", of=copy.id)
"""
WITHOUT_A_SOURCE = (
    "command:remote:CopyToRemote resource 'copy': property asset value {<nil>} has a problem:"
    " either asset or archive must be set"
)


@pytest.mark.parametrize("preview", [True, False])
def test_what_a_provider_refuses_fails_in_its_words(world: World, preview: bool) -> None:
    engine = world.run(COPIED.format(source='"release.tar.gz"'), preview=preview)
    assert [(step.name, text) for step, text in engine.failures] == [("copy", WITHOUT_A_SOURCE)]
    assert list(operations(engine)) == ["first"]
    assert world.log == ([] if preview else ["create first"])


def test_a_source_that_is_not_known_in_a_preview_is_refused(world: World) -> None:
    """What the sandbox took and the real provider did not: a plain `pulumi up` failed for everyone."""
    source = 'first.made.apply(lambda made: pulumi.FileAsset("__main__.py"))'
    engine = world.run(COPIED.format(source=source), preview=True)
    assert [text for _, text in engine.failures] == [WITHOUT_A_SOURCE]
    known = world.run(COPIED.format(source='pulumi.FileAsset("__main__.py")'), preview=True)
    assert known.failures == []


def test_a_data_source_is_refused_in_its_providers_words(world: World) -> None:
    with pytest.raises(
        DeploymentError,
        match=r"^invoke of alicloud:vpc/getSwitches:getSwitches failed: : invalid or unknown key: id \(\)$",
    ):
        world.run('pulumi.runtime.invoke("alicloud:vpc/getSwitches:getSwitches", {"id": "vsw-1"})')


def test_secrets_are_not_readable_on_disk_and_reach_the_resource(world: World) -> None:
    engine = world.run(
        """
        one = Thing("one", word=pulumi.Output.secret("hunter2"))
        pulumi.export("word", pulumi.Output.secret("hunter2"))
        """
    )
    assert [thing["word"] for thing in world.things.values()] == ["hunter2"]
    assert values.public(engine.outputs) == {}
    state = world.state()
    state.set_outputs(engine.outputs)
    for file in (world.folder / "state").iterdir():
        assert b"hunter2" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0
    assert values.unwrapped(world.state().outputs) == {"word": "hunter2"}


def test_the_programs_own_refusal_is_one_error(world: World) -> None:
    with pytest.raises(DeploymentError, match=r"^size is 0; allowed: 1$"):
        world.run('raise pulumi.RunError("size is 0; allowed: 1")')


def test_what_the_sandbox_does_not_know_is_refused(world: World) -> None:
    with pytest.raises(DeploymentError, match="retain_on_delete"):
        world.run('Thing("one", opts=pulumi.ResourceOptions(retain_on_delete=True))')
    with pytest.raises(DeploymentError, match="sandbox has no other:index:Thing"):
        world.run('pulumi.CustomResource("other:index:Thing", "one", {})')
    with pytest.raises(DeploymentError, match="data source other:index:look"):
        world.run('pulumi.runtime.invoke("other:index:look", {})')


def test_two_resources_of_one_name_are_refused(world: World) -> None:
    with pytest.raises(DeploymentError, match="two resources named one"):
        world.run('Thing("one"); Thing("one")')


def test_what_the_program_warns_of_is_reported(world: World) -> None:
    world.run('pulumi.log.warn("mind the gap")')
    assert world.warnings == ["mind the gap"]
