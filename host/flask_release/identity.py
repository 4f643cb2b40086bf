"""What a run is given on stdin, and the id that archive and environment make together."""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import sys
from typing import Any, Dict, NamedTuple, Optional

from flask_release import files
from flask_release.host import Host
from flask_release.problem import Problem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAIL = 6


class Request(NamedTuple):
    """What the caller says of a release. `variables` None: those of the live release stay."""

    variables: Optional[Dict[str, str]]
    author: str
    commit: str


NOTHING_TOLD = Request(None, "", "")


def read_request() -> Request:
    """The JSON object on stdin: `{"env": {NAME: value}, "author": …, "commit": …}`; a terminal gives nothing.

    Raises:
        Problem: stdin holds something else. Its text is never repeated: it may be a secret.
    """
    given = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    if not given.strip():
        return NOTHING_TOLD
    wanted = 'Give a JSON object such as {"env": {"NAME": "value"}} on stdin, or nothing.'
    try:
        value = json.loads(given.decode())
    except ValueError:
        raise Problem("Stdin holds no JSON. " + wanted)
    if not isinstance(value, dict):
        raise Problem("Stdin holds no JSON object. " + wanted)
    env = value.get("env")
    return Request(
        None if env is None else _variables(env),
        str(value.get("author") or ""),
        str(value.get("commit") or ""),
    )


def who() -> str:
    """Who runs this, as far as the system tells: "root from 203.0.113.7"."""
    name = (
        os.environ.get("SUDO_USER")
        or os.environ.get("LOGNAME")
        or os.environ.get("USER")
        or str(os.geteuid())
    )
    origin = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f"{name} from {origin}" if origin else name


def release_id(host: Host, archive: str, variables: Dict[str, str]) -> str:
    """The archive's id and a short HMAC of the variables: a changed variable makes another release.

    Keyed with a secret of the host, so that the id, which everybody sees, gives no guess at a value away.
    """
    content = json.dumps(variables, sort_keys=True).encode()
    return f"{archive}-{hmac.new(_key(host), content, hashlib.sha256).hexdigest()[:_TAIL]}"


def _key(host: Host) -> bytes:
    try:
        if stat.S_IMODE(host.release_key.stat().st_mode) & 0o077 == 0:
            key = host.release_key.read_bytes()
            if len(key) >= 32:
                return key
    except FileNotFoundError:
        pass
    key = secrets.token_hex(32).encode()
    files.write(host.release_key, key, 0o600)
    return key


def _variables(env: Any) -> Dict[str, str]:
    if not isinstance(env, dict):
        raise Problem('"env" on stdin is no object. Give {"env": {"NAME": "value"}}.')
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise Problem(f"env has the name {name!r}; names are of letters, digits and _. Rename it.")
        if not isinstance(value, str) or "\0" in value:
            raise Problem(f"env.{name} is no text (or has a NUL in it). Give it as a JSON string.")
    return dict(env)
