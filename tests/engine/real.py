"""A stack that Pulumi's own engine runs: the CLI, its state in a folder, an account of the cloud in the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from sandbox import cloud
from sandbox.plugins.provider import VERSIONS
from tests.e2e.deployment import PROJECT, Deployment, Run, checkout

ENGINE = PROJECT / ".cache/engine/bin"
# Before the one beside the CLI, which a linked .cache takes from elsewhere.
LANGUAGE_HOST = PROJECT / "tests/engine/bin"
PLUGINS = PROJECT / "sandbox/plugins/bin"
ADDRESSES = "127.0.44.0/24"
PASSPHRASE = "a passphrase of the tests"
_NETWORKS = """\
import pulumi
from pulumi_alicloud import vpc

before = []
for number in range(pulumi.Config().get_int("networks", 1)):
    cidr = pulumi.Config().get("cidr", "10.64.0.0/16")
    opts = pulumi.ResourceOptions(depends_on=before)
    before = [vpc.Network(f"net-{number}", cidr_block=cidr, opts=opts)]
pulumi.export("last", before[0].id)
pulumi.export("word", pulumi.Output.secret("a secret word"))
"""
_IN_CLOUD = (
    "alicloud:vpc/network:Network",
    "alicloud:vpc/switch:Switch",
    "alicloud:ecs/securityGroup:SecurityGroup",
    "alicloud:ecs/instance:Instance",
)


def build() -> None:
    """Build the engine where that was not done yet; waits for who builds it already."""
    built = subprocess.run(
        ["bash", str(PROJECT / "setup/engine.sh")], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr


def account(folder: Path) -> dict[str, str]:
    """Make what one person has: PULUMI_HOME with the providers installed, a state, credentials; as environment."""
    home = folder / "home"
    for name, version in VERSIONS.items():
        # As `pulumi install` lays them down.
        place = home / f"plugins/resource-{name}-v{version}"
        place.mkdir(parents=True)
        (place / f"pulumi-resource-{name}").symlink_to(PLUGINS / f"pulumi-resource-{name}")
    (folder / "state").mkdir()
    return {
        "PATH": f"{LANGUAGE_HOST}:{ENGINE}:{os.environ['PATH']}",
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "ALICLOUD_ACCESS_KEY": "LTAI5tOfTheTests",
        "ALICLOUD_SECRET_KEY": "a secret key of the tests",
        "FLASK_SANDBOX": str(folder / "cloud"),
        "FLASK_SANDBOX_ADDRESSES": ADDRESSES,
    }


class RealStack(Deployment):
    """A stack of `target: alicloud`, whose cloud is the sandbox behind provider plugins."""

    def pulumi(self, *arguments: str, environment: dict[str, str] | None = None) -> Run:
        """Run the CLI as it is typed, on this stack."""
        return self.plain_pulumi(*arguments, "--stack", self.stack, environment=environment)

    def plain_pulumi(self, *arguments: str, environment: dict[str, str] | None = None) -> Run:
        """Run the CLI as it is typed, on whichever stack is selected."""
        return self.run("pulumi", *arguments, environment=environment)

    def plan(self) -> dict[str, str]:
        """Return what a preview says: name of each resource that is not the same → operation."""
        run = self.pulumi("preview", "--json")
        assert run.status == 0, run.text
        steps = json.loads(run.text[run.text.index("{") :])["steps"]
        return {
            step["urn"].rpartition("::")[2]: step["op"]
            for step in steps
            if step["op"] != "same" and "$" in step["urn"].split("::")[2]
        }

    def exported(self) -> dict[str, Any]:
        """Return the stack's state, secrets in the clear."""
        run = self.pulumi("stack", "export", "--show-secrets")
        assert run.status == 0, run.text
        deployment: dict[str, Any] = json.loads(run.text)["deployment"]
        return deployment

    def use_networks(self) -> None:
        """Let the stack's program be some networks, one after the other: quick, and nothing has to boot."""
        (self.folder / "__main__.py").write_text(_NETWORKS)

    def use_program(self, text: str) -> None:
        """Let the stack's program be this one."""
        (self.folder / "__main__.py").write_text(text)

    def checked_out(self, name: str) -> None:
        """Put a file of the checkout back as the project has it."""
        shutil.copy2(PROJECT / name, self.folder / name)

    def recorded(self) -> set[str]:
        """Return the ids of what is in the cloud by the stack's state, which is read as it lies there."""
        latest = self._latest()
        assert not latest.get("pending_operations"), latest["pending_operations"]
        return {of["id"] for of in latest.get("resources", []) if of["type"] in _IN_CLOUD}

    def there(self) -> set[str]:
        """Return the ids of what is in the cloud, by the cloud."""
        inventory = Path(self.environment["FLASK_SANDBOX"], "account/cloud.json")
        things = json.loads(inventory.read_text()) if inventory.exists() else {}
        return {
            thing
            for kind in ("networks", "vswitches", "groups", "instances")
            for thing in things.get(kind, ())
        }

    def locks(self) -> list[Path]:
        """Return the locks on stacks."""
        return list((self._backend() / "locks").rglob("*.json"))

    def take_down(self) -> None:
        """Destroy the stack, whatever its program is now, where there is anything of it; nothing may be left."""
        account = cloud.Place(Path(self.environment["FLASK_SANDBOX"], "account"))
        try:
            if self._latest().keys() & {"resources", "pending_operations"}:
                gone = self.destroy()
                assert gone.status == 0, gone.text
            left = self.leftovers()
            assert left == [], left
        finally:
            # For the next test, which a failure here is not to touch.
            cloud.Cloud(account, "").remove_everything()

    def _latest(self) -> dict[str, Any]:
        """The stack's state as it lies there, secrets encrypted; nothing where the stack was never made."""
        file = self._backend() / f"stacks/flask-on-ecs/{self.stack}.json"
        latest = json.loads(file.read_text())["checkpoint"]["latest"] if file.exists() else None
        return dict(latest or {})

    def _backend(self) -> Path:
        return Path(self.environment["PULUMI_BACKEND_URL"].removeprefix("file://"), ".pulumi")

    def ids(self) -> dict[str, str]:
        """Return the id of each resource by its name, the engine's own aside."""
        return {
            of["urn"].rpartition("::")[2]: of["id"]
            for of in self._latest().get("resources", [])
            if of.get("id") and not of["type"].startswith("pulumi:")
        }

    def output(self, name: str) -> str:
        """Return one output of the stack, by its state."""
        (stack,) = (of for of in self._latest()["resources"] if of["type"] == "pulumi:pulumi:Stack")
        return str(stack["outputs"][name])

    def _mark(self) -> str:
        folder = f"{self.environment['FLASK_SANDBOX']}/account"
        return hashlib.sha256(folder.encode()).hexdigest()[:8]

    def leftovers(self) -> list[str]:
        """Name what of this account is still on the machine."""
        return [line for line in super().leftovers() if ".sandbox" not in line]


def real_stack(folder: Path, stack: str = "real", environment: dict[str, str] | None = None) -> RealStack:
    """Make a checkout with a stack of the real cloud, configured as the local one is."""
    (folder / "checkout").mkdir()
    made = checkout(folder / "checkout")
    document = yaml.safe_load((made.folder / "Pulumi.local.yaml").read_text())
    document["config"]["flask-on-ecs:target"] = "alicloud"
    (made.folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document))
    return RealStack(made.folder, stack, environment or account(folder))


def another(stack: RealStack, name: str) -> RealStack:
    """Make another stack of the same checkout and account."""
    shutil.copy(stack.folder / f"Pulumi.{stack.stack}.yaml", stack.folder / f"Pulumi.{name}.yaml")
    return RealStack(stack.folder, name, stack.environment)
