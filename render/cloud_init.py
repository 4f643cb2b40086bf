"""A server's first boot: the user data that cloud-init gets, and the script that waits until it is over."""

from __future__ import annotations

from pathlib import Path

import jinja2

from render.profiles import OsProfile

# Raw bytes, before base64 (RunInstances, 2025: 32 KB).
MAX_BYTES = 32 * 1024

_SOURCE = Path(__file__).parents[1] / "cloud-init"
_ON_SERVER = "/var/lib/flask/bootstrap"


def user_data(
    profile: OsProfile, *, host_key_private: str, host_key_public: str, python: str, python_mirror: str | None
) -> str:
    """The cloud-config of a server's first boot: its SSH host key and the bootstrap of its system.

    The same arguments give the same text on every machine. Nothing is compressed for that reason: another zlib
    would give other bytes, and changed user data replaces the server.

    Args:
        profile: the operating system.
        host_key_private: ed25519 key in OpenSSH form; the text returned is therefore secret.
        host_key_public: its public half, one line of OpenSSH form.
        python: one of `profile.pythons`.
        python_mirror: folder of python-build-standalone's releases (`<mirror>/<tag>/<file>`) to try first.

    Raises:
        ValueError: the text is larger than ECS takes.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_SOURCE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML # nosec B701
    )
    script = f"{profile.name}.sh"
    files = {f"{_ON_SERVER}/{name}": _without_comments(_read(name)) for name in ("common.sh", script)}
    settings = [f"FLASK_PYTHON={python}", f"FLASK_PYTHON_MIRROR={python_mirror or ''}"]
    text = environment.get_template("user-data.yaml.j2").render(
        host_key_private=host_key_private.strip(),
        host_key_public=host_key_public.strip(),
        files={path: content.strip() for path, content in files.items()},
        command=["env", *settings, "bash", f"{_ON_SERVER}/{script}"],
    )
    size = len(text.encode())
    if size > MAX_BYTES:
        raise ValueError(f"user data for {profile.name} is {size} bytes; ECS takes at most {MAX_BYTES}")
    return text


def readiness_script() -> str:
    """A script for sh, run as root on the server: waits for the end of the first boot, at most 20 minutes.

    Prints the bootstrap's facts as JSON and exits 0, or the reason and the logs' last lines on stderr and exits 1.
    """
    return _read("ready.sh")


def _read(name: str) -> str:
    return (_SOURCE / name).read_text(encoding="utf-8")


def _without_comments(script: str) -> str:
    # Comments are for who reads the repository. Left out, they take no room, and changing one replaces no server.
    kept = [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept) + "\n"
