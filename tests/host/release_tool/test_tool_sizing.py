"""A slot's processes, threads and memory follow from the machine and from what the stack says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from .fake_host import FakeHost, module

sizing = module("sizing")
settings = module("settings")


def size(cores: int, memory: int, **given: Any) -> tuple[int, ...]:
    return tuple(sizing.of(settings.Settings(**given), sizing.Machine(cores, memory)))


@pytest.mark.parametrize(
    ("cores", "memory", "load", "expected"),
    [
        # ECS types by cores and GiB, with what their systems tell of it.
        (1, 430, "mixed", (1, 9, 256)),
        (1, 960, "mixed", (2, 9, 330)),
        (2, 960, "mixed", (2, 9, 330)),
        (2, 3690, "mixed", (4, 9, 847)),
        (2, 3690, "cpu", (2, 2, 1695)),
        (2, 3690, "io", (2, 32, 1695)),
        (4, 1830, "mixed", (5, 9, 306)),
        (4, 15700, "mixed", (8, 9, 1925)),
        (8, 1830, "mixed", (5, 9, 306)),
        (8, 15700, "io", (8, 32, 1925)),
        (64, 127000, "cpu", (64, 2, 1979)),
    ],
)
def test_the_machine_decides(cores: int, memory: int, load: str, expected: tuple[int, ...]) -> None:
    assert size(cores, memory, load=load) == expected


def test_what_is_set_is_what_there_is() -> None:
    assert size(2, 3690, processes=4, threads=2) == (4, 2, 847)
    assert size(1, 430, processes=4, threads=2, load="io") == (4, 2, 256)
    assert size(2, 3690, threads=1) == (4, 1, 847)
    assert size(2, 3690, processes=1, load="io") == (1, 32, 3390)


@pytest.mark.parametrize(
    ("limits", "memory"),
    [
        ({}, 3690),
        ({"memory.max": "max"}, 3690),
        ({"memory.max": str(512 << 20)}, 512),
        ({"memory.max": str(8192 << 20)}, 3690),
        ({"memory/memory.limit_in_bytes": str(1024 << 20)}, 1024),
        # What version 1 says where there is no limit.
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, 3690),
    ],
)
def test_the_limit_of_a_container_is_its_memory(limits: dict[str, str], memory: int, tmp_path: Path) -> None:
    files = {"proc/meminfo": f"MemTotal:  {3690 * 1024 + 7} kB\nMemFree:  1 kB\n"}
    files |= {f"sys/fs/cgroup/{name}": f"{text}\n" for name, text in limits.items()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sizing.machine(tmp_path) == (len(os.sched_getaffinity(0)), memory)


def given(host: FakeHost, slot: str) -> dict[str, str]:
    words = host.started_with(slot)["arguments"]
    return {name: words[words.index(name) + 1] for name in ("--processes", "--threads")}


def test_a_slot_is_started_in_its_size(host: FakeHost) -> None:
    host.configure(processes=4, threads=2)
    assert host.release(host.archive("one")).code == 0
    assert given(host, "a") == {"--processes": "4", "--threads": "2"}


def test_another_size_is_taken_over_and_the_same_one_is_no_reason_to_start_anew(host: FakeHost) -> None:
    path = host.archive("one")
    assert host.release(path).code == 0
    assert given(host, "a")["--threads"] == "9"
    assert host.release(path).code == 0
    assert host.running() == {"a"}
    host.configure(load="io")
    assert host.release(path).code == 0
    assert host.running() == {"b"}
    assert given(host, "b")["--threads"] == "32"


def test_a_load_that_nobody_knows_is_refused(host: FakeHost) -> None:
    host.configure(load="disk")
    ran = host.release(host.archive("one"))
    assert ran.code == 1
    assert "load is 'disk'; it has to be one of cpu, io, mixed" in ran.err
