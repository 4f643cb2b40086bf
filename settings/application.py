"""The application: its folder, what uWSGI imports from it and how it runs, its variables."""

from __future__ import annotations

import ast
import contextlib
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

import pulumi

from health import HealthCheck
from render.messages import cut
from render.messages import name as path_name
from settings.health_check import health
from settings.values import Values, decimal, integer, one_of, refuse, require_secret

_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
# What an application mostly does: compute, wait for others, or both.
LOADS = ("cpu", "io", "mixed")
# By these a module can define a name that its text does not show.
_DEFINERS = frozenset(("__getattr__", "exec", "globals", "setattr", "vars"))
# The metrics' port is 9117; the second slot takes the next port.
_TAKEN_PORTS = (9116, 9117)
# What the launcher of a slot sets itself, and what would change how its Python starts.
_RESERVED_ENV = re.compile(
    r"FLASK_(SLOT|RELEASE)\w*|UWSGI_\w*|PATH|HOME|USER|LD_\w+|PYTHON(PATH|HOME|STARTUP)|NOTIFY_SOCKET"
)
# The kernel's bound of one "NAME=value" with its end (MAX_ARG_STRLEN), and half of what it lets a program have in all
# (a quarter of the stack's 8 MiB): the rest is for arguments, and for what an application adds for its own programs.
_MOST_VARIABLE = 128 * 1024
_MOST_ENVIRONMENT = 1024 * 1024
# The ends of 127.0.0.0/8, which nobody can listen on and be reached.
_NO_ADDRESSES = ("127.0.0.0", "127.255.255.255")
# uWSGI takes these for placeholders, in its arguments as well.
_PLACEHOLDER = re.compile(r"[$@%]\(")
# A module is parsed to find its callable, unless it is larger.
_MOST_PARSED = 4 * 1024 * 1024
_MODULES_NAMED = 10


@dataclass(frozen=True)
class ApplicationSettings:
    """The Flask application and how uWSGI runs it.

    Attributes:
        path: its folder.
        python_path: the folder in it that imports start from.
        module: Python module that holds the application.
        callable: its name there, or a factory call.
        load: what the application mostly does: `cpu`, `io` or `mixed`.
        processes: of uWSGI; 0: the server chooses, by its size and `load`.
        threads: in each process; 0: the server chooses.
        request_timeout: seconds after which a request is ended.
        socket: `unix`, or a loopback address and port.
        environment: plain and secret variables together, secret.
        health: when it is well.
        keep_releases: on the server, the live one among them.
    """

    path: Path
    python_path: str
    module: str
    callable: str
    load: str
    processes: int
    threads: int
    request_timeout: int
    socket: str
    environment: pulumi.Output[dict[str, str]]
    health: HealthCheck
    keep_releases: int


def application(values: Values, folder: Path) -> ApplicationSettings:
    """Read the application section; relative paths count from `folder`."""
    path = _folder(values, "appPath", folder, "a folder")
    source = _folder(values, "pythonPath", path, f"a folder inside {path_name(path)}")
    python_path = source.relative_to(path).as_posix() if source.is_relative_to(path) else ""
    if not python_path or _PLACEHOLDER.search(python_path):
        refuse(
            "pythonPath",
            values.text("pythonPath"),
            f"a folder inside {path_name(path)}, without $( @( or %( in its name",
        )
    module, callable_ = values.text("module"), values.text("callable")
    if not re.fullmatch(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*", module):
        refuse("module", module, "a Python module name such as app or package.module")
    if not re.fullmatch(rf"{_IDENTIFIER}(\(\))?", callable_):
        refuse("callable", callable_, "a name such as app, or a factory call such as create_app()")
    _check_callable(_module_file(source, module), module, callable_)
    return ApplicationSettings(
        path=path,
        python_path=python_path,
        module=module,
        callable=callable_,
        load=one_of(values, "load", LOADS),
        processes=integer(values, "processes", 0, 64),
        threads=integer(values, "threads", 0, 64),
        request_timeout=integer(values, "requestTimeout", 5, 3600),
        socket=_socket(values),
        environment=_environment(values),
        health=health(values),
        keep_releases=integer(values, "keepReleases", 2, 50),
    )


def _folder(values: Values, key: str, base: Path, allowed: str) -> Path:
    text = values.text(key)
    try:
        path = (base / text).resolve()
        there = path.is_dir()
    except (OSError, RuntimeError) as error:
        # Names that are too long, links that lead in a circle, folders above that are closed to this account.
        refuse(key, text, allowed, error)
    if not there:
        refuse(key, text, allowed, f"there is none at {path_name(path)}")
    return path


def _module_file(source: Path, module: str) -> Path:
    base = source.joinpath(*module.split("."))
    with contextlib.suppress(OSError):
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    found = sorted(
        {file.stem for file in source.glob("*.py")}
        | {file.parent.name for file in source.glob("*/__init__.py")}
    )
    told = ", ".join(cut(name, 40) for name in found[:_MODULES_NAMED]) or "none"
    more = " and more" if len(found) > _MODULES_NAMED else ""
    return refuse("module", module, f"a module in {path_name(source)}; found there: {told}{more}")


def _check_callable(file: Path, module: str, callable_: str) -> None:
    """Refuse a name that the module plainly does not define; what its text does not tell is left to the server."""
    try:
        if file.stat().st_size > _MOST_PARSED:
            return
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        refuse("module", module, "a module that can be read", error)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # The server's Python may be newer, and its import check shows the application's own traceback. The last two are
        # what nesting without end is to the parser.
        return
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return
        if isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Store) or node.id in _DEFINERS):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
    name = callable_.removesuffix("()")
    if name in names or names & _DEFINERS:
        return
    likely = sorted(names & {"app", "application", "create_app", "make_app", "server"})
    hint = f"; it defines {', '.join(likely)}" if likely else ""
    refuse(
        "callable",
        callable_,
        f"a name that module {cut(module, 80)} defines ({cut(file.name, 80)} does not{hint})",
    )


def _socket(values: Values) -> str:
    socket = values.text("socket")
    if socket == "unix":
        return socket
    host, _, port_text = socket.rpartition(":")
    loopback = False
    with contextlib.suppress(ValueError):
        loopback = ipaddress.IPv4Address(host).is_loopback and host not in _NO_ADDRESSES
    port = decimal(port_text)
    # The uwsgi protocol can load code: it is never bound to an address that others reach.
    if not loopback or port is None or not 1024 <= port <= 65534 or port in _TAKEN_PORTS:
        refuse(
            "socket",
            socket,
            "unix, or a loopback address and port such as 127.0.0.1:8080 (1024 to 65534, not 9116 or 9117)",
        )
    return f"{host}:{port}"


def _environment(values: Values) -> pulumi.Output[dict[str, str]]:
    plain, secret = values.mapping("env"), values.mapping("secrets")
    if secret:
        require_secret("secrets")
    merged: dict[str, str] = {}
    for key, variables in (("env", plain), ("secrets", secret)):
        for name, value in variables.items():
            place = f"{key}.{cut(name, 80)}"
            if not re.fullmatch(_IDENTIFIER, name):
                raise pulumi.RunError(f"{place}: the name of a variable holds letters, digits and _ only.")
            if _RESERVED_ENV.fullmatch(name):
                raise pulumi.RunError(
                    f"{place}: {cut(name, 80)} is set by the server itself; choose another name."
                )
            if name in merged:
                raise pulumi.RunError(f"{place}: {cut(name, 80)} stands in env and in secrets; keep one.")
            merged[name] = _variable(place, name, value)
    size = sum(len(f"{name}={value}\0".encode()) for name, value in merged.items())
    if size > _MOST_ENVIRONMENT:
        raise pulumi.RunError(
            f"env and secrets are {size} bytes long together; allowed: at most {_MOST_ENVIRONMENT}, since no program"
            " can be started with much more; put what is large into a file."
        )
    return pulumi.Output.secret(merged)


def _variable(place: str, name: str, value: object) -> str:
    """The variable's value as text. No message shows it: it may be a secret."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise pulumi.RunError(f"{place} is {type(value).__name__}; allowed: text (put it in quotes).")
    text = str(value)
    if "\0" in text:
        raise pulumi.RunError(f"{place} holds a NUL byte, which no environment variable can.")
    try:
        size = len(f"{name}={text}\0".encode())
    except UnicodeEncodeError:
        raise pulumi.RunError(
            f"{place} holds half of a character (a lone surrogate); allowed: text that UTF-8 can write."
        ) from None
    if size > _MOST_VARIABLE:
        raise pulumi.RunError(
            f"{place} is {len(text.encode())} bytes long; allowed: {_MOST_VARIABLE} with its name, the most that a"
            " program can be started with; put it into a file."
        )
    return text
