"""The faults that somebody may have to act on, as drills made them: what the runbook says of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEntry:
    """A fault, and the advice to who meets it.

    Attributes:
        fault: its name in `recloop drill --list`.
        title: what happened, as a heading.
        seen: what the operator sees.
        does: what the job does by itself.
        todo: what to do.
    """

    fault: str
    title: str
    seen: str
    does: str
    todo: str


FAULT_ENTRIES = (
    FaultEntry(
        fault="kill-broker",
        title="A Kafka broker died and came back",
        seen="Lists stand still for as long as its partitions have no leader, some 5 to 20 s; freshness has a peak. "
        "The TaskManagers' logs name the broker; `recloop status` shows no restart.",
        does="It waits, and goes on where it was: nothing is lost and nothing is read twice. A checkpoint waits while "
        "lists are not acknowledged.",
        todo="Nothing to the job. Look for the cause at the broker.",
    ),
    FaultEntry(
        fault="brokers-away",
        title="No Kafka broker answers",
        seen="`recloop status` says for how long the log has not answered, and RecloopLogSilent fires after a minute "
        "and a half. No list is made.",
        does="Its tasks go on running, and ask again until a broker answers. Then it reads on where it was.",
        todo="Bring the brokers back, or repair the network or the login. The job needs no deployment.",
    ),
    FaultEntry(
        fault="partition-without-leader",
        title="A partition of the log has no leader",
        seen="`recloop status` says which partition has no leader, in place of the lags, while lists of other users "
        "are made: users are in partitions by their hash. No alert of a silent log, as the other brokers answer.",
        does="It reads the other partitions, after a restart too, and this one again from where it was once it has a "
        "leader.",
        todo="Bring the broker back that has the partition. A topic with a replication factor of 3 gets another leader"
        " by itself. A partition of the lists' topic without a leader holds the whole job up.",
    ),
    FaultEntry(
        fault="transaction-aborted",
        title="A producer left a transaction open, or aborted it",
        seen="Lag that stands still at one offset, while records are appended behind it.",
        does="It reads committed records only: it waits at the first record of an open transaction, and leaves out "
        "those of an aborted one. They are no dead letters, as they never counted.",
        todo="End the producer, or have it end its transaction; else the broker does after `transaction.timeout.ms`, "
        "by default a minute.",
    ),
    FaultEntry(
        fault="freeze-task-manager",
        title="A TaskManager stands still, and wakes up later",
        seen="A restart, as of a TaskManager that died; with `publish.lists_folder` a line `going on in another "
        "partition` in the log of its successor.",
        does="Its tasks are run elsewhere after the heartbeat's timeout. What wakes up commits nothing, and what it "
        "published counts less than what its successor did.",
        todo="Look for the cause at the machine: memory, disk, a paused virtual machine.",
    ),
)
