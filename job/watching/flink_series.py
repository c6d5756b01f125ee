"""The metrics of Flink's own that the dashboard and the rules read, by their names in Prometheus."""

from enum import StrEnum


class FlinkSeries(StrEnum):
    """Series of the JobManager and of tasks; each value is the name in Prometheus."""

    CHECKPOINTS_COMPLETED = "flink_jobmanager_job_numberOfCompletedCheckpoints"
    CHECKPOINTS_FAILED = "flink_jobmanager_job_numberOfFailedCheckpoints"
    CHECKPOINT_MS = "flink_jobmanager_job_lastCheckpointDuration"
    CHECKPOINT_BYTES = "flink_jobmanager_job_lastCheckpointSize"
    STATE_BYTES = "flink_jobmanager_job_lastCheckpointFullSize"
    RESTARTS = "flink_jobmanager_job_numRestarts"
    JOBS = "flink_jobmanager_numRunningJobs"
    TASK_MANAGERS = "flink_jobmanager_numRegisteredTaskManagers"
    BUSY_MS = "flink_taskmanager_job_task_busyTimeMsPerSecond"
    HEAP_USED = "flink_taskmanager_Status_JVM_Memory_Heap_Used"
    HEAP_MAX = "flink_taskmanager_Status_JVM_Memory_Heap_Max"
