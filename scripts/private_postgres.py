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
from typing import TYPE_CHECKING, Any

from scripts import deploy_tools
from scripts.child_process import Child, ServerError, free_port, tail, taken

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing import Self


def _account() -> dict[str, Any]:
    """Return the account to run it as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PrivatePostgres(Child):
    """A database cluster that is made at the start and deleted at the end.

    Attributes:
        port: The port on 127.0.0.1.
        variables: What deploy/kubernetes/base/run.yaml calls its settings.

    Raises:
        deploy_tools.MissingError: PostgreSQL is not installed.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._account = _account()
        self._initdb = deploy_tools.path("initdb")
        # Not below a folder of pytest's, which other accounts may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="private-postgres-"))
        self._data = self._folder / "data"
        self.variables = {
            "STORE": "postgres",
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_DB": "postgres",
            "POSTGRES_USER": "llamastack",
            "POSTGRES_PASSWORD": "llamastack",
        }
        command = [str(self._initdb.resolve().with_name("postgres")), "-D", str(self._data)]
        super().__init__(
            "PostgreSQL",
            [*command, "-h", "127.0.0.1", "-p", str(self.port), "-k", ""],
            self._folder / "log",
            ready=self._takes_connections,
            cwd=self._folder,
            **self._account,
        )

    def start(self) -> Self:
        """Make the cluster and start it.

        Raises:
            ServerError: It did not start.
        """
        if self._account:
            os.chown(self._folder, self._account["user"], self._account["group"])
        words = [str(self._initdb), "-D", str(self._data), "-U", "llamastack", "--auth=trust"]
        made = subprocess.run(
            [*words, "-E", "UTF8", "--no-sync", "--locale=C"],
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **self._account,
        )
        if made.returncode:
            raise ServerError(made.stderr)
        return super().start()

    def stop(self) -> None:
        """Stop it and delete its files."""
        super().stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)

    def _takes_connections(self) -> bool:
        # It listens before it takes connections; the stack's servers try again meanwhile.
        return taken(self.port) and "ready to accept" in tail(self.log_path, 5)
