"""A PostgreSQL of its own in a folder, on a free port of 127.0.0.1, for tests and measurements.

    with PrivatePostgres(folder) as database:
        ...  # database.variables for run.yaml

Standard library only; PostgreSQL itself comes from Debian's package.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts import deploy_tools
from scripts.stack_server import Child, ServerError, free_port, tail, taken

_START_SECONDS = 60.0


def _account() -> dict[str, Any]:
    """Return the account to run it as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PrivatePostgres:
    """A database cluster that is made at the start and deleted at the end.

    Attributes:
        port: The port on 127.0.0.1.
        variables: What deploy/kubernetes/base/run.yaml calls its settings.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._account = _account()
        # Not below a folder of pytest's, which other accounts may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="private-postgres-"))
        self._child: Child | None = None
        self.variables = {
            "STORE": "postgres",
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_DB": "postgres",
            "POSTGRES_USER": "llamastack",
            "POSTGRES_PASSWORD": "llamastack",
        }

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._child is None:
            message = "PostgreSQL has not been started"
            raise ServerError(message)
        return self._child.process.pid

    def start(self) -> PrivatePostgres:
        """Make the cluster and start it.

        Raises:
            ServerError: It did not start.
            deploy_tools.MissingError: PostgreSQL is not installed.
        """
        if self._account:
            os.chown(self._folder, self._account["user"], self._account["group"])
        data, log = self._folder / "data", self._folder / "log"
        initdb = deploy_tools.path("initdb")
        words = [str(initdb), "-D", str(data), "-U", "llamastack", "--auth=trust", "-E", "UTF8"]
        made = subprocess.run(
            [*words, "--no-sync", "--locale=C"],
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **self._account,
        )
        if made.returncode:
            raise ServerError(made.stderr)
        command = [str(initdb.resolve().with_name("postgres")), "-D", str(data)]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        self._child = Child("PostgreSQL", command, log, cwd=self._folder, **self._account)
        # It listens before it takes connections; the stack's servers try again meanwhile.
        try:
            self._child.wait_until(
                lambda: taken(self.port) and "ready to accept" in tail(log, 5), _START_SECONDS
            )
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it and delete its files."""
        if self._child is not None:
            self._child.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)

    def __enter__(self) -> PrivatePostgres:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
