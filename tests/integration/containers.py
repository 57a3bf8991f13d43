"""Containers of the bundle's images, as pods run them: not root, no capability, a read-only root file system."""

from __future__ import annotations

import pathlib
import time
import typing as t

from tests.node.podman import podman
from tests.run.servers import image_reference

__all__ = ("Container", "Postgres", "sql")

CLUSTER = "17/main"
FLAGS = [
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--tmpfs=/tmp",
    # podman would raise the limits, which a machine that is a container itself may refuse
    "--ulimit=nofile=20000:20000",
    "--ulimit=nproc=30000:30000",
]


class Container:
    """One container, removed by its id. It has no network, or that of another one."""

    def __init__(self, image: str, *command: str, flags: t.Sequence[str] = (), beside: Container | None = None) -> None:
        network = f"--network=container:{beside.ident}" if beside else "--network=none"
        done = podman("run", "--detach", network, *FLAGS, *flags, image_reference(image), *command)
        self.ident: str = done.stdout.strip()

    def run(self, *command: str) -> tuple[int, str]:
        done = podman("exec", self.ident, *command, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def until(self, *command: str, seconds: int = 90) -> str:
        deadline = time.monotonic() + seconds
        while True:
            code, output = self.run(*command)
            if code == 0:
                return output
            assert time.monotonic() < deadline, f"{command}: {output}\n{self.log()}"
            time.sleep(0.3)

    def log(self) -> str:
        done = podman("logs", self.ident, check=False)
        return done.stdout + done.stderr

    def kill(self) -> None:
        """What a power cut does to a process."""
        podman("kill", "--signal=KILL", self.ident)
        podman("wait", self.ident)

    def stop(self) -> tuple[int, float]:
        """Its exit code and how long it took."""
        started = time.monotonic()
        podman("kill", "--signal=TERM", self.ident)
        return int(podman("wait", self.ident).stdout), time.monotonic() - started

    def wait(self) -> int:
        return int(podman("wait", self.ident).stdout)

    def remove(self) -> None:
        podman("rm", "--force", "--time=1", self.ident, check=False)


class Postgres:
    """Servers one after another on one volume, as a Deployment with strategy Recreate starts them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.data = folder / "data"
        self.secret = folder / "secret"
        for path, mode in ((self.data, 0o777), (self.secret, 0o755)):
            path.mkdir()
            path.chmod(mode)  # what local-path gives, and a secret's volume
        self.password("first 'pass' \\ word")
        self.containers: list[Container] = []

    @property
    def cluster(self) -> pathlib.Path:
        return self.data / CLUSTER

    def password(self, text: str) -> None:
        (self.secret / "password").write_text(text)
        (self.secret / "password").chmod(0o644)

    def start(self, *command: str) -> Container:
        mounts = [f"--volume={self.data}:/var/lib/postgresql/data", f"--volume={self.secret}:/secret:ro"]
        flags = [*mounts, "--env=POSTGRES_PASSWORD_FILE=/secret/password"]
        self.containers.append(Container("postgresql", *command, flags=flags))
        return self.containers[-1]

    def ready(self, *command: str) -> Container:
        server = self.start(*command)
        server.until("pg_isready", "--quiet", "--host=127.0.0.1")
        return server

    def refused(self) -> str:
        server = self.start()
        assert server.wait() != 0
        return server.log()


def sql(server: Container, text: str, database: str = "postgres") -> str:
    """Over the socket, where the container's own user is the superuser."""
    code, output = server.run("psql", "-XAtq", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-c", text)
    assert code == 0, output
    return output
