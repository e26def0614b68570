"""The service over HTTP: settings, connections, and each endpoint as an operation without I/O."""

from langchain_sutro._core.service.cleanup import when_gone
from langchain_sutro._core.service.clients import HTTPClient, check_client
from langchain_sutro._core.service.download import Download
from langchain_sutro._core.service.driver import Operation, Session, arun, run
from langchain_sutro._core.service.exchange import (
    Policy,
    Service,
    check_id,
    endpoint,
    malformed,
    read,
    seconds_asked,
)
from langchain_sutro._core.service.job_search import find_job, look_for
from langchain_sutro._core.service.jobs import JobStatus, job_status, list_jobs
from langchain_sutro._core.service.json_values import dump_json, parse_json
from langchain_sutro._core.service.library_logs import quiet_logs
from langchain_sutro._core.service.marker import Marker
from langchain_sutro._core.service.private_files import remove_private
from langchain_sutro._core.service.results import (
    PrivateFile,
    fetch_results,
    results_link,
    results_saved,
)
from langchain_sutro._core.service.runs import (
    cancel_job,
    check_authentication,
    check_name,
    fetch_job,
    get_quotas,
    published_functions,
    run_function,
)
from langchain_sutro._core.service.settings import Generation, Settings, check_url, resolve
from langchain_sutro._core.service.steps import Step, Steps, arun_steps, blocking, run_steps
from langchain_sutro._core.service.submission import (
    JobRequest,
    Submitted,
    check_quota,
    made_no_job,
    reusable_job,
    submit_job,
)
from langchain_sutro._core.service.threads import in_thread, start, start_all
from langchain_sutro._core.service.urls import is_loopback, split_url
from langchain_sutro._core.service.watch import JobProgress, job_progress, wait_for_job

__all__ = [
    "Download",
    "Generation",
    "HTTPClient",
    "JobProgress",
    "JobRequest",
    "JobStatus",
    "Marker",
    "Operation",
    "Policy",
    "PrivateFile",
    "Service",
    "Session",
    "Settings",
    "Step",
    "Steps",
    "Submitted",
    "arun",
    "arun_steps",
    "blocking",
    "cancel_job",
    "check_authentication",
    "check_client",
    "check_id",
    "check_name",
    "check_quota",
    "check_url",
    "dump_json",
    "endpoint",
    "fetch_job",
    "fetch_results",
    "find_job",
    "get_quotas",
    "in_thread",
    "is_loopback",
    "job_progress",
    "job_status",
    "list_jobs",
    "look_for",
    "made_no_job",
    "malformed",
    "parse_json",
    "published_functions",
    "quiet_logs",
    "read",
    "remove_private",
    "resolve",
    "results_link",
    "results_saved",
    "reusable_job",
    "run",
    "run_function",
    "run_steps",
    "seconds_asked",
    "split_url",
    "start",
    "start_all",
    "submit_job",
    "wait_for_job",
    "when_gone",
]
