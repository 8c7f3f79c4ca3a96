"""A real Slurm on this machine: two virtual nodes with accounting, as root, without systemd.

    python tests/slurm/local_slurm.py check           # exit status 2 and the apt packages if programs are missing
    python tests/slurm/local_slurm.py packages        # the command that installs them
    python tests/slurm/local_slurm.py run COMMAND...  # start it, run the command with it, stop it

Each daemon has its own host name and /etc/hosts in a namespace. For the jobs, node1 and node2 resolve to 127.0.0.1. The
machine itself is not changed.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = "munged munge unmunge mariadbd slurmdbd slurmctld slurmd sbatch srun sacct scontrol unshare".split()  # noqa: SIM905
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin mariadb-server-core".split()  # noqa: SIM905
INSTALL = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"
START_SECONDS = 60
IN_NAMESPACE = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'


def search_path() -> str:
    """PATH with Debian's folders of daemons."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing() -> str | None:
    """Why Slurm cannot start here, with the remedy; None if it can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    if absent:
        return f"found no {', '.join(absent)}. Install Slurm (Debian 12): {INSTALL}"
    return None if os.geteuid() == 0 else "a local Slurm needs root for its namespaces"


def free_ports(count: int) -> list[int]:
    """Free ports of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class LocalSlurm:
    """The daemons, and the environment of clients.

    Args:
        folder: for keys, state, logs and sockets; its path must be short.
        nodes: number of virtual nodes.
        cpus: of each node, as configured.
    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 4):
        self.folder = folder
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.cpus = cpus
        self.daemons: dict[str, subprocess.Popen] = {}
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
        self.environ |= {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": search_path()}

    def call(self, *command: str, check: bool = True) -> str:
        """Run a client command; returns its output."""
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start everything, each daemon when what it needs answers."""
        for name in ("state", "db", "log"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self._write_configuration()
        munge, database = self.folder / "munge.socket", self.folder / "db/socket"
        self._start("munged", "munged", "-F", "-f", f"--key-file={self.folder}/munge.key", f"--socket={munge}",
                    f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/log/munged.log",
                    f"--seed-file={self.folder}/munged.seed")  # fmt: skip
        self._start("mariadbd", "mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder}/db",
                    f"--socket={database}", f"--pid-file={self.folder}/db/pid", "--skip-networking",
                    "--skip-grant-tables", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-lock-wait-timeout=900")  # fmt: skip
        self._wait("munged", munge.exists)
        self._wait("mariadbd", database.exists)
        self._start("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(database))
        self._wait("slurmdbd", lambda: self._answers("sacctmgr", "-n", "-i", "list", "cluster"))
        self.call("sacctmgr", "-Q", "-i", "add", "cluster", "local", check=False)
        self._start("slurmctld", "slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        self._wait("slurmctld", self.all_idle)

    def _start(self, name: str, *command: str, host: str = "localhost", **environ: str) -> None:
        with (self.folder / f"log/{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                ["unshare", "--mount", "--uts", "sh", "-c", IN_NAMESPACE, str(self.folder / "hosts"), host, *command],
                env=self.environ | environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._start(node, "slurmd", "-D", "-N", node, host=node)

    def fail_node(self, node: str) -> None:
        """Lose a node: its daemon and all that runs on it die, and Slurm gives it up, as after SlurmdTimeout."""
        self.daemons.pop(node).kill()
        self.kill_processes(node)
        self.call("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def kill_processes(self, node: str) -> None:
        """Kill what jobs run on a node."""
        for process in processes_of(node, self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def pythons(self, *nodes: str) -> list[int]:
        """Processes of jobs on these nodes, all if none is named, that run Python: tasks, not what started them."""
        found = [process for node in nodes or self.nodes for process in processes_of(node, self.folder)]
        return [process for process in found if Path(f"/proc/{process}/exe").resolve().name.startswith("python")]

    def revive_node(self, node: str) -> None:
        """Bring a lost node back."""
        self.start_node(node)
        self.call("scontrol", "update", f"nodename={node}", "state=resume")
        self._wait(node, lambda: self.call("sinfo", "-hN", "-n", node, "-o", "%t").split()[0] in ("idle", "mix"))

    def _answers(self, *command: str) -> bool:
        return subprocess.run(command, env=self.environ, capture_output=True).returncode == 0

    def all_idle(self) -> bool:
        """Whether nothing runs and every node is there."""
        done = subprocess.run(
            ["sinfo", "-hN", "-p", "normal", "-o", "%t"], env=self.environ, capture_output=True, text=True
        )
        return done.stdout.split() == ["idle"] * len(self.nodes)

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > end or self.daemons[name].poll() is not None:
                logs = [f"== {log}\n{log.read_text(errors='replace')[-1500:]}" for log in self.folder.glob("log/*")]
                raise RuntimeError("\n".join([f"{name} did not come up", *logs]))
            time.sleep(0.1)

    def stop(self) -> None:
        """Cancel all jobs, end all daemons and what they left."""
        if "slurmctld" in self.daemons and self.daemons["slurmctld"].poll() is None:
            for job in set(self.call("squeue", "-h", "-o", "%A", check=False).split()):
                self.call("scancel", job, check=False)
        for name in (*self.nodes, "slurmctld", "slurmdbd", "mariadbd", "munged"):
            if daemon := self.daemons.pop(name, None):
                daemon.terminate()
                try:
                    daemon.wait(15)
                except subprocess.TimeoutExpired:
                    daemon.kill()
        for node in self.nodes:
            self.kill_processes(node)

    def _write_configuration(self) -> None:
        folder = self.folder
        controller, accounting, *ports = free_ports(2 + len(self.nodes))
        (folder / "hosts").write_text("127.0.0.1 localhost " + " ".join(self.nodes) + "\n")
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        nodes = [
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus} RealMemory=100000"
            for node, port in zip(self.nodes, ports, strict=True)
        ]
        (folder / "slurm.conf").write_text("\n".join([SLURM_CONF.format(**locals()), *nodes, PARTITIONS]))
        (folder / "plugstack.conf").touch()
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        (folder / "slurmdbd.conf").write_text(SLURMDBD_CONF.format(**locals()))
        (folder / "slurmdbd.conf").chmod(0o600)


SLURM_CONF = """ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also the time for which a requeued job waits
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
PlugStackConfig={folder}/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
MinJobAge=600
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout=300
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge.socket
"""

# A job in urgent pushes those in normal aside, which get SIGTERM, and SIGKILL after the grace time.
PARTITIONS = """PartitionName=normal Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""

SLURMDBD_CONF = """AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
CommunicationParameters=NoInAddrAny
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
"""


def processes_of(node: str, folder: Path) -> Iterator[int]:
    """Job steps and their processes on one of the virtual nodes."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
            ours = f"SLURM_CONF={folder}/slurm.conf".encode() in variables
            if ours and (
                f"SLURMD_NODENAME={node}".encode() in variables or (b"slurmstepd" in command and _on(entry, node))
            ):
                yield int(entry.name)


def _on(process: Path, node: str) -> bool:
    """Whether a step manager belongs to a node, which is true if it has the node's log open."""
    return any(node in str(link.readlink()) for link in (process / "fd").iterdir() if link.is_symlink())


@contextlib.contextmanager
def running() -> Iterator[LocalSlurm]:
    """A cluster in a temporary folder, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = LocalSlurm(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def main(arguments: list[str]) -> int:
    """Run the commands of the module docstring."""
    if arguments == ["packages"]:
        print(INSTALL)
        return 0
    if arguments != ["check"] and arguments[:1] != ["run"]:
        print(__doc__, file=sys.stderr)
        return 64
    if problem := missing():
        print(f"local_slurm: {problem}", file=sys.stderr)
        return 2
    if arguments[0] == "run":
        with running() as cluster:
            return subprocess.run(arguments[1:], env=cluster.environ).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
