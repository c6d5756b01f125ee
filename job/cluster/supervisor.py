"""The process that keeps a cluster's JVMs running: `python -I supervisor.py STATE_FOLDER`.

It reads plan.json (the processes to run), starts each entry in a process group of its own, restarts a dead one, and
writes state.json (the processes that run). SIGHUP makes it read the plan again; SIGTERM makes it end everything and
exit. So does the end of a process with one of its final statuses, with which an application cluster's JobManager says
that the application is over; ended.json then holds that status.

The supervisor package (4.3.0) is not used, for two reasons. It polls for dead processes once a second, after the pass
that starts them, so each of six killed programs was back only 1.01 to 1.03 s later. And it leaves the rest of a dead
leader's group running: the Python workers of a killed TaskManager would live on. Here a death wakes the loop, the group
is ended before its dead leader is reaped (so its number cannot have been given to others), and the replacement starts
within a tenth of a second (0.07 s measured on a busy machine).

It imports only the standard library and is run by its path, so it starts in a few hundredths of a second.
"""

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

_PR_SET_CHILD_SUBREAPER = 36
_QUICK_S = 5.0  # a process that dies younger than this waits before its restart
_LONGEST_DELAY_S = 5.0
_STOP_GRACE_S = 2.0
_CANNOT_RUN = 127  # the exit status that a shell gives
_OUT_LIMIT_BYTES = 20 * 2**20
_TICK_S = 1.0


@dataclass
class Member:
    """A process to keep running."""

    name: str
    argv: list[str]
    scratch: Path
    out: Path
    environment: dict[str, str] = field(default_factory=dict)  # beyond the inherited variables
    final: frozenset[int] = frozenset()  # exit statuses after which nothing is to run any more
    follows: str | None = None  # the process with which this one is ended and started again
    incarnation: int = 0  # the number of starts
    quick_deaths: int = 0
    started: float = 0.0
    due: float = 0.0  # the time of the next start, on the monotonic clock
    exit_status: int | None = None  # of the last one that died
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the process in a group of its own, with an empty scratch folder."""
        self.incarnation += 1
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.started = time.monotonic()
        argv = [part.replace("{incarnation}", str(self.incarnation)) for part in self.argv]
        with self.out.open("ab") as out:
            try:
                self.process = subprocess.Popen(
                    argv,
                    env={**os.environ, **self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    cwd=self.scratch,
                    process_group=0,
                )
            except OSError as error:
                out.write(f"Error: {argv[0]} cannot be run: {error}\n".encode())
                self._died(_CANNOT_RUN)

    def bury(self) -> None:
        """End what is left of its group, reap it, and set the time of the next start."""
        if self.process is None:
            return
        _end_group(self.process.pid, signal.SIGKILL)
        exit_status = self.process.wait()
        self.process = None
        self._died(exit_status)

    def _died(self, exit_status: int) -> None:
        self.exit_status = exit_status
        now = time.monotonic()
        self.quick_deaths = 0 if now - self.started > _QUICK_S else self.quick_deaths + 1
        self.due = now + min(_LONGEST_DELAY_S, 0.05 * 2**self.quick_deaths if self.quick_deaths else 0.0)

    @property
    def is_over(self) -> bool:
        """True if it ended with a final status."""
        return self.process is None and self.exit_status in self.final

    def bound_output(self) -> None:
        """Copy an output file above 20 MiB to .1 and empty it."""
        if self.out.exists() and self.out.stat().st_size > _OUT_LIMIT_BYTES:
            shutil.copyfile(self.out, self.out.with_name(self.out.name + ".1"))
            os.truncate(self.out, 0)

    def record(self) -> dict[str, object]:
        """Return the entry of this process in state.json."""
        return {
            "name": self.name,
            "pid": self.process.pid if self.process else None,
            "incarnation": self.incarnation,
            "exit_status": self.exit_status,
        }


class _Supervisor:
    """The loop that keeps the members of a plan running until a signal stops it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._members: dict[str, Member] = {}
        self._wake, writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Supervise until a signal or a final status, then end everything; exit at once if the plan is damaged."""
        self._read_plan()
        while True:
            self._start_due()
            received = self._wait()
            if received & {signal.SIGTERM, signal.SIGINT}:
                break
            self._reap()
            if (over := next((each for each in self._members.values() if each.is_over), None)) is not None:
                self._write("ended.json", over.record())
                break
            if signal.SIGHUP in received:
                self._read_plan()
            for member in self._members.values():
                member.bound_output()
        self._end(list(self._members.values()))
        (self._directory / "state.json").unlink(missing_ok=True)

    def _read_plan(self) -> None:
        """Take up the plan; one that is damaged changes nothing if processes run, and otherwise ends the supervisor."""
        path = self._directory / "plan.json"
        try:
            wanted = {
                entry["name"]: Member(
                    name=entry["name"],
                    argv=entry["argv"],
                    scratch=Path(entry["scratch"]),
                    out=Path(entry["out"]),
                    environment=entry.get("environment", {}),
                    final=frozenset(entry.get("final", ())),
                    follows=entry.get("follows"),
                )
                for entry in json.loads(path.read_bytes())
            }
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            fault = f"{path} cannot be read ({error}): stop the cluster, and recloop cluster start writes it anew"
            if not self._members:
                sys.exit(fault)
            print(fault, file=sys.stderr, flush=True)
            return
        self._end([member for name, member in self._members.items() if name not in wanted])
        self._members = {name: self._members.get(name, member) for name, member in wanted.items()}
        self._write_state()

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [each for each in self._members.values() if each.process is None and each.due <= now]
        for member in due:
            member.start()
        if due:
            self._write_state()

    def _wait(self) -> set[int]:
        waiting = [each.due for each in self._members.values() if each.process is None]
        timeout = min([_TICK_S, *(max(0.0, due - time.monotonic()) for due in waiting)])
        ready, _, _ = select.select([self._wake], [], [], timeout)
        return set(os.read(self._wake, 4096)) if ready else set()

    def _reap(self) -> None:
        while True:
            try:  # a dead child is named, and left to be reaped
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            members = {each.process.pid: each for each in self._members.values() if each.process}
            if dead.si_pid in members:
                self._bury(members[dead.si_pid])
                self._write_state()
            else:
                os.waitpid(dead.si_pid, 0)

    def _bury(self, dead: Member) -> None:
        dead.bury()
        for follower in self._members.values():
            if follower.follows == dead.name:
                follower.bury()

    def _end(self, members: list[Member]) -> None:
        living = [member.process for member in members if member.process]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + _STOP_GRACE_S
        while time.monotonic() < deadline and any(_lives(process.pid) for process in living):
            time.sleep(0.02)
        for member in members:
            member.bury()

    def _write_state(self) -> None:
        self._write("state.json", {"pid": os.getpid(), "members": [each.record() for each in self._members.values()]})

    def _write(self, name: str, content: dict[str, object]) -> None:
        path = self._directory / name
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(content))
        scratch.replace(path)


def _end_group(group: int, number: int) -> None:
    """Send a signal to a process group; do nothing if it is gone."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _lives(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def main(directory: Path) -> NoReturn:
    """Leave the starter's session, terminal and process tree, let it go on at once, and supervise.

    Exit if another supervisor locks the folder.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with (directory / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another supervisor holds this folder")
        _Supervisor(directory).run()
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
