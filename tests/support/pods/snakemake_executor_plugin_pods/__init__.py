"""Snakemake's way with Kubernetes, without Kubernetes: each job in an empty folder of its own.

The workflow's files, and what a job reads and makes, come and go through the bucket alone.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(  # those of the plugin for Kubernetes
    non_local_exec=True,
    implies_no_shared_fs=True,
    job_deploy_sources=True,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,  # its package is here, as it is in the container
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Runs a job as Kubernetes is told to, in a folder below $PODS."""

    def __post_init__(self) -> None:
        pass

    def run_job(self, job: Any) -> None:
        pod = Path(tempfile.mkdtemp(prefix=f"{job.name}-", dir=os.environ["PODS"]))
        with pod.with_suffix(".log").open("w") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", self.format_job_exec(job)],
                cwd=pod,
                env={**os.environ, **self.envvars()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.report_job_submission(
            SubmittedJobInfo(job, external_jobid=pod.name, aux={"process": process})
        )

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        for info in active_jobs:
            async with self.status_rate_limiter:
                status = info.aux["process"].poll()
            if status is None:
                yield info
            elif status == 0:
                self.report_job_success(info)
            else:
                self.report_job_error(info)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        for info in active_jobs:
            info.aux["process"].terminate()
