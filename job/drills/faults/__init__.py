"""All faults that a drill can inject, by name; a file for each family."""

from collections.abc import Mapping
from types import MappingProxyType

from job.drills.faults.brokers import BrokersAway, KillBroker, PartitionWithoutLeader
from job.drills.faults.checkpoint_phases import KillAcknowledged, KillCommitting, KillTriggered
from job.drills.faults.clock_jumps import ClockAhead, ClockBack
from job.drills.faults.deployments import (
    KillWhileDeploying,
    KillWhileSaving,
    RescaleDown,
    RescaleUp,
)
from job.drills.faults.disks import CheckpointDiskFull, CheckpointDiskReadOnly, CheckpointDiskSlow
from job.drills.faults.fault import Fault, Injected
from job.drills.faults.folders import CheckpointFolderGone, KillCompactor
from job.drills.faults.job_managers import (
    CorruptCheckpoint,
    KillJobManager,
    KillLeader,
    LoseMetadata,
    TruncateCheckpoint,
)
from job.drills.faults.models import (
    ModelGivesNan,
    ModelGivesUnknownItems,
    ModelGivesWrongShapes,
    ModelHangs,
    ModelRaises,
)
from job.drills.faults.networks import CutJobManager, CutTaskManagers
from job.drills.faults.processes import (
    FreezeTaskManager,
    KillAgainAndAgain,
    KillFullBatch,
    KillPythonWorker,
    KillTaskManager,
)
from job.drills.faults.records import PoisonFlood
from job.drills.faults.registries import CorruptBundle, RegistryGone
from job.drills.faults.topics import TransactionAborted
from job.drills.faults.zookeeper import ZooKeeperGone

__all__ = ["FAULTS", "SMOKE_FAULTS", "Fault", "Injected"]

_ALL: tuple[Fault, ...] = (
    KillTaskManager(),
    KillPythonWorker(),
    PoisonFlood(),
    KillFullBatch(),
    KillAgainAndAgain(),
    ModelRaises(),
    ModelGivesNan(),
    ModelGivesWrongShapes(),
    ModelGivesUnknownItems(),
    ModelHangs(),
    KillJobManager(),
    CorruptCheckpoint(),
    TruncateCheckpoint(),
    LoseMetadata(),
    KillCompactor(),
    CheckpointFolderGone(),
    KillWhileSaving(),
    KillWhileDeploying(),
    KillTriggered(),
    KillAcknowledged(),
    KillCommitting(),
    RescaleDown(),
    RescaleUp(),
    FreezeTaskManager(),
    CorruptBundle(),
    RegistryGone(),
    KillLeader(),
    ZooKeeperGone(),
    CheckpointDiskFull(),
    CheckpointDiskReadOnly(),
    CheckpointDiskSlow(),
    CutJobManager(),
    CutTaskManagers(),
    ClockAhead(),
    ClockBack(),
    KillBroker(),
    TransactionAborted(),
    PartitionWithoutLeader(),
    BrokersAway(),
)
FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _ALL})
"""All faults by name, in the order in which a drill of all of them injects them."""
SMOKE_FAULTS = (KillTaskManager.name, KillPythonWorker.name, PoisonFlood.name)
"""The faults that `recloop drill --smoke` injects."""
