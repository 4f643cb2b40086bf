"""Pulumi's language host for Python, which the released CLI brings along and no registry has: a stand-in.

The engine starts `pulumi-language-python` (`bin/`) and asks it to run a program. As the released one it starts Python
in the project's virtual environment, tells the program what it needs by arguments and environment, and gives back
what the program ended with (pulumi/sdk/python/cmd/pulumi-language-python/main.go).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, language_pb2, language_pb2_grpc, plugin_pb2

# The program has told its error already; nothing is to be added.
SHOWN = 32
RUNNER = Path(__file__).with_name("run_program.py")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address))

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="3.272.0")

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:  # noqa: N802
        return language_pb2.GetRequiredPluginsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version)

    def Run(self, request: language_pb2.RunRequest, context: Any) -> Any:  # noqa: N802
        pwd = request.pwd or request.info.program_directory
        arguments = {
            "monitor": request.monitor_address,
            "engine": self._engine_address,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
            "parallel": str(request.parallel),
            "dry_run": "true" if request.dryRun else "false",
        }
        environment = os.environ | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            "PYTHONPATH": os.environ.get("PYTHONPATH_OF_PROGRAM", ""),
        }
        options = [part for name, value in arguments.items() for part in (f"--{name}", value)]
        # Where the program stands, as the released one: `python -u <exec> … <program directory>`.
        done = subprocess.run(
            [Path(pwd, ".venv/bin/python"), "-u", RUNNER, *options, pwd],
            cwd=pwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.stdout.strip():
            self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=done.stdout, urn=""))
        if done.returncode == SHOWN:
            return language_pb2.RunResponse(bail=True)
        error = f"program exited with non-zero exit code: {done.returncode}" if done.returncode else ""
        return language_pb2.RunResponse(error=error)


def main(engine_address: str) -> None:
    """Serve until the engine ends the process."""
    # The engine's own word for the end: ignored, it waits 5 s for it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[-1])
