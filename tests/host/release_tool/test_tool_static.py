"""Static files by nginx: found in the application, offered under their address, taken from what has the traffic."""

from __future__ import annotations

import pytest

from .fake_host import APPLICATION, FakeHost

FILES = {"app/static/site.css": "one", "app/static/img/logo.svg": "<svg/>"}


def flask_like(folder: str, address: str) -> str:
    """An application with Flask's two attributes."""
    return (
        APPLICATION
        + f"\nimport os\napp.static_folder = os.path.join(os.path.dirname(__file__), {folder!r})\n"
        + f"app.static_url_path = {address!r}\n"
    )


def public(host: FakeHost, slot: str) -> list[str]:
    folder = (host.root / "srv/flask/slots" / slot / "public").resolve()
    found = [path for top in folder.rglob("*") if top.is_symlink() for path in top.resolve().rglob("*")]
    assert all(path.is_relative_to(folder.parent / "app") for path in found)
    return sorted(
        str(link.relative_to(folder) / path.relative_to(link.resolve()))
        for link in folder.rglob("*")
        if link.is_symlink()
        for path in link.resolve().rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("address", ["/static", "/assets/v1/static"])
def test_the_static_folder_is_offered_under_its_address(host: FakeHost, address: str) -> None:
    ran = host.release(host.archive("one", flask_like("static", address), files=FILES))
    assert ran.code == 0, ran.err
    assert public(host, "a") == [f"{address[1:]}/img/logo.svg", f"{address[1:]}/site.css"]
    assert (host.root / "srv/flask/serving").resolve() == (host.root / "srv/flask/slots/a").resolve()


@pytest.mark.parametrize(
    ("folder", "address"),
    [("/etc", "/static"), ("static", "/"), ("static", "/../.."), ("nowhere", "/static")],
)
def test_what_is_not_the_releases_own_is_left_to_the_application(
    host: FakeHost, folder: str, address: str
) -> None:
    ran = host.release(host.archive("one", flask_like(folder, address), files=FILES))
    assert ran.code == 0, ran.err
    assert public(host, "a") == []


def test_an_application_that_is_not_flasks_has_none(host: FakeHost) -> None:
    assert host.release(host.archive("one")).code == 0
    assert public(host, "a") == []


def test_files_move_with_the_traffic_and_back(host: FakeHost) -> None:
    serving = host.root / "srv/flask/serving"
    host.release(host.archive("one", flask_like("static", "/static"), files=FILES))
    host.release(host.archive("two", flask_like("static", "/static"), files=FILES))
    assert serving.readlink().name == host.traffic() == "b"
    # What served before is still there for pages that are open.
    assert public(host, "a")
    assert host.run("rollback").code == 0
    assert serving.readlink().name == host.traffic() == "a"


def test_a_killed_run_leaves_no_other_files_than_what_serves(host: FakeHost) -> None:
    host.release(host.archive("one"))
    serving = host.root / "srv/flask/serving"
    serving.unlink()
    serving.symlink_to("slots/b")
    assert host.run("prune").code == 0
    assert serving.readlink().name == "a"
