"""The base image of the sandbox's instances: Debian 12 with systemd, sshd and cloud-init, made by mmdebstrap.

The recipe is debian12/: the packages, a tree of files laid over the system, and a script run on it at the end.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.programs import failure, run, succeeds

_RECIPE = Path(__file__).with_name("debian12")
_REPOSITORY = "localhost/flask-sandbox-debian12"
_SUITE = "bookworm"
_APT = tuple(Path("/etc/apt", name) for name in ("sources.list", "sources.list.d", "apt.conf", "apt.conf.d"))
# The lock, and while a build runs its half-made files. Root's own, so that nobody can put a link in the way.
_CACHE = Path("/var/cache/flask-sandbox")
# Program → Debian package. setpriv is part of every Debian; netavark sits outside PATH.
_TOOLS = {
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "iptables": "iptables",
    "ssh": "openssh-client",
}
# Root's programs are asked for before anybody is root.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_NETAVARK = (Path("/usr/lib/podman/netavark"), Path("/usr/libexec/podman/netavark"))
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def missing_tools() -> tuple[str, ...]:
    """Return the Debian packages the sandbox needs and this machine lacks, sorted."""
    missing = {package for program, package in _TOOLS.items() if shutil.which(program, path=_PATH) is None}
    if not any(place.exists() for place in _NETAVARK):
        missing.add("netavark")
    if not _CA_BUNDLE.exists():
        missing.add("ca-certificates")
    return tuple(sorted(missing))


def base_image(say: Callable[[str], None]) -> str:
    """Return the podman image of the Debian 12 base system, building it when it is not there (half a minute).

    `say` gets a line for each step of a build and none otherwise. Two runs at once build it once; a build that
    was killed is cleared away by the next.

    Raises:
        SandboxError: not root, a program is missing, or the build failed.
    """
    require_tools()
    image = f"{_REPOSITORY}:{_recipe_hash()}"
    if _exists(image):
        return image
    _CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(_CACHE / "lock", say) as lock:
        if not _exists(image):
            _build(image, say, lock)
    return image


def require_tools() -> None:
    """Check that the sandbox can run here.

    Raises:
        SandboxError: naming the command that installs what is missing, or asking for root.
    """
    missing = missing_tools()
    if missing:
        raise SandboxError(
            f"The sandbox needs programs that are not installed: {', '.join(missing)}.\n"
            f"Install them: apt-get install -y --no-install-recommends {' '.join(missing)}"
        )
    if os.geteuid() != 0:
        raise SandboxError(
            "The sandbox starts system containers and sets packet filters: run it as root (sudo)."
        )


def _exists(image: str) -> bool:
    return succeeds(["podman", "image", "exists", image])


def _apt_sources() -> str:
    """Debian's own entries of this machine's apt sources, as apt itself reads them; "" where it has none.

    Entries of other vendors are left out: the image has neither their keys nor a use for them.
    """
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
            "Created-By: Packages",
        ],
        doing="read this machine's apt sources",
        advice="Check /etc/apt/sources.list and /etc/apt/sources.list.d with: apt-get update",
    )
    suites = (_SUITE, f"{_SUITE}-updates", f"{_SUITE}-security")
    found: dict[tuple[str, str], None] = {}
    for line in listed.splitlines():
        uri, suite, component, origin = line.split(" ", 3)
        # The origin is known once the lists were fetched; before that apt prints the field's name.
        if suite in suites and component == "main" and origin in {"Debian", "$(ORIGIN)", ""}:
            found[uri, suite] = None
    if not any(suite == _SUITE for _, suite in found):
        return ""
    return "".join(f"deb {uri} {suite} main\n" for uri, suite in found)


def _apt_settings() -> str:
    """This machine's apt settings of how to reach a mirror (proxy, certificates), in apt.conf's notation."""
    dumped = run(
        ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n'],
        doing="read this machine's apt settings",
        advice="Check /etc/apt/apt.conf.d with: apt-config dump",
    )
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Retries")
    return "".join(f"{line}\n" for line in dumped.splitlines() if line.startswith(wanted))


def _recipe_hash() -> str:
    """What the image depends on: the recipe, and the machine's apt files as they are.

    Not as apt reads them, which takes it a second, and this is asked each time.
    """
    digest = hashlib.sha256()
    for folder in (_RECIPE, *_APT):
        for file in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
            content = file.read_bytes()
            digest.update(
                f"{file.relative_to(folder)} {file.stat().st_mode & 0o111} {len(content)}\n".encode()
            )
            digest.update(content)
    return digest.hexdigest()[:12]


@contextmanager
def _lock(file: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Hold `file` locked; what is yielded is its descriptor, for a child that is to hold it as well."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another run that builds the base image")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _build(image: str, say: Callable[[str], None], lock: int) -> None:
    build = _CACHE / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(mode=0o700)
    try:
        archive = build / "root.tar"
        _bootstrap(archive, say, lock)
        say("Importing the base image")
        # podman gives the name last, when all is stored: a killed import leaves no image of that name.
        run(
            ["podman", "import", "--quiet", "--change", "CMD /lib/systemd/systemd", str(archive), image],
            doing="import the base image into podman",
            advice="Check the free space (df -h /var/lib/containers) and run it again.",
        )
    finally:
        shutil.rmtree(build, ignore_errors=True)


def _bootstrap(archive: Path, say: Callable[[str], None], lock: int) -> None:
    """Write the root file system as a tar archive."""
    build = archive.parent
    (build / "tmp").mkdir(mode=0o755)
    sources, settings = _apt_sources(), _apt_settings()
    apt_conf = build / "apt.conf"
    apt_conf.write_text(settings)
    mirrors: list[str] = []
    if sources:
        (build / "sources.list").write_text(sources)
        mirrors = [str(build / "sources.list")]
    packages = [
        line for line in (_RECIPE / "packages.txt").read_text().split("\n") if line and line[0] != "#"
    ]
    # mmdebstrap's own `sync-in` would give the files the owner they have in this checkout.
    copy_files = (
        f"tar -C {shlex.quote(str(_RECIPE / 'files'))} --owner=root:0 --group=root:0 --mode=u=rwX,go=rX -c . "
        '| tar -C "$1" -x'
    )
    command = [
        # Should this process be killed, the build ends as well, and mmdebstrap unmounts what it mounted.
        *("setpriv", "--pdeathsig", "TERM"),
        # No fsync for every file unpacked, here and later in the instances: a power cut takes the sandbox as a whole.
        *("mmdebstrap", "--variant=minbase", "--format=tar", "--dpkgopt=force-unsafe-io"),
        "--skip=cleanup/apt/lists",  # so that an instance's first `apt-get update` costs next to nothing
        f"--include={','.join(packages)}",
        f"--customize-hook={copy_files}",
        f"--customize-hook={_RECIPE / 'customize.sh'}",
        *([f"--aptopt={apt_conf}"] if settings else []),
        *(_SUITE, str(archive), *mirrors),
    ]
    said: deque[str] = deque(maxlen=60)
    say("Building the Debian 12 base image (once, about half a minute)")
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(build / "tmp"), "LC_ALL": "C"},
        pass_fds=(lock,),
    ) as process:
        for line in process.stderr or ():
            said.append(line)
            # What it does, not how: its own settings and temporary paths are for its author.
            if line.startswith("I: ") and line.rstrip().endswith("..."):
                say(line.removeprefix("I: ").rstrip().removesuffix("..."))
    if process.returncode != 0:
        raise failure(
            "build the Debian 12 base image with mmdebstrap",
            "".join(said),
            "Check that the mirror in the machine's apt sources answers (apt-get update), and run it again.",
        )
