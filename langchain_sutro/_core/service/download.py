"""The download of a Parquet file of results, without I/O: presigned URLs, resumption."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from langchain_sutro._core.service.driver import (
    PACE,
    Operation,
    Request,
    Response,
    Sleep,
    Timeout,
)
from langchain_sutro._core.service.exchange import (
    LONGEST_RETRY_AFTER,
    Service,
    api_error,
    endpoint,
    malformed,
    read,
    send_request,
)
from langchain_sutro._core.service.settings import check_url
from langchain_sutro.errors import (
    SutroAPIError,
    SutroConfigurationError,
    SutroConnectionError,
    SutroServerError,
)

if TYPE_CHECKING:
    import httpx


__all__ = ["Download", "download_results", "results_url"]

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
# Fresh URLs for one download: each lives for an hour.
_MOST_URLS = 4
# What storages say of a signature that has expired, or of one whose object is gone.
_REFUSALS = frozenset({400, 401, 403, 404, 410})
_SECONDS = 60.0


class Download:
    """A file that is being received.

    Args:
        file: Empty, open for writing, seekable.
    """

    blocks = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.total: int | None = None
        self.etag: str | None = None
        self._fits = False

    def start(self, status: int, headers: httpx.Headers) -> bool:
        """Append a continuation of the same object; anything else that is whole starts over."""
        if status == 206:
            found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
            same = self.etag is not None and headers.get("etag") == self.etag
            self._fits = False
            if found is not None and same and int(found[1]) == self.size:
                total = int(found[3])
                # The announced total, where the first answer had none.
                self._fits = self.total in (None, total)
                self.total = total
            if not self._fits:
                self.restart()
            return True
        if status != 200:
            return False
        self.restart()
        self._fits = True
        length = headers.get("content-length", "")
        self.total = int(length) if length.isdecimal() else None
        etag = headers.get("etag")
        # A weak tag does not promise the same bytes.
        self.etag = etag if etag and not etag.startswith("W/") else None
        return True

    def write(self, piece: bytes) -> bool:
        """Take a piece; end a continuation that does not continue what is here."""
        if not self._fits:
            return False
        self._file.write(piece)
        self.size += len(piece)
        return True

    def restart(self) -> None:
        """Forget what has come."""
        self._file.seek(0)
        self._file.truncate()
        self.size, self.total, self.etag, self._fits = 0, None, None, False

    @property
    def complete(self) -> bool:
        """Whether as many bytes have come as were announced."""
        return self._fits and self.total in (None, self.size)

    @property
    def resumable(self) -> bool:
        """Whether the rest can be told to belong to what is here."""
        return self.size > 0 and self.etag is not None

    def headers(self) -> dict[str, str]:
        """Ask for the rest, if it can be told to belong to what is here."""
        headers = {"accept-encoding": "identity"}
        if self.resumable and self.etag:
            headers |= {"range": f"bytes={self.size}-", "if-range": self.etag}
        return headers


def results_url(
    service: Service,
    job_id: str,
    *,
    include_inputs: bool = False,
    include_cumulative_logprobs: bool = False,
    expires_in_seconds: int = 3600,
) -> Operation[dict[str, Any]]:
    """Presigned URLs of the job's results as Parquet. They are secrets until they expire.

    Returns:
        As the service sends it: `urls` with `get` and `head`, `artifact`, `expires_in_seconds`.
    """
    url = endpoint(
        service.settings.batch_url,
        "jobs",
        job_id,
        "results-url",
        format="parquet",
        include_inputs=str(include_inputs).lower(),
        include_cumulative_logprobs=str(include_cumulative_logprobs).lower(),
        expires_in_seconds=expires_in_seconds,
    )
    answer = yield from read(service, url)
    urls = answer.get("urls")
    if not isinstance(urls, dict) or not isinstance(urls.get("get"), str):
        raise malformed('"urls"')
    _check_storage(urls["get"])
    return answer


def _check_storage(url: str) -> None:
    try:
        parts = urlsplit(url)
        # The same rule as for a deployment: http only on this machine.
        check_url(f"{parts.scheme}://{parts.netloc}", "hosted")
    except (ValueError, SutroConfigurationError):
        raise SutroAPIError(
            "The service gave a download URL that is neither https nor loopback.", status_code=200
        ) from None


def download_results(
    service: Service,
    job_id: str,
    download: Download,
    *,
    include_inputs: bool = False,
    include_cumulative_logprobs: bool = False,
    expires_in_seconds: int = 3600,
) -> Operation[None]:
    """Receive the results of a job as a Parquet file.

    A broken transfer continues where it stopped if the object is still the same; an expired URL is
    replaced.

    Raises:
        SutroAPIError: There are no results, or the storage refuses them.
        SutroConnectionError: The transfer broke again and again without moving on.
    """
    options = {
        "include_inputs": include_inputs,
        "include_cumulative_logprobs": include_cumulative_logprobs,
    }
    if service.settings.generation == "hosted":
        yield from _download_directly(service, job_id, download, options)
        return
    refused = 0
    for _ in range(_MOST_URLS):
        answer = yield from results_url(
            service, job_id, **options, expires_in_seconds=expires_in_seconds
        )
        refused = yield from _receive(service, answer["urls"]["get"], download)
        if not refused:
            return
    raise SutroAPIError(
        f"The storage answered {refused} to download URLs that the service had just signed. The "
        "API key is not concerned: the clock of one of them may be wrong, or the file is gone.",
        status_code=refused,
    )


def _receive(service: Service, url: str, download: Download) -> Operation[int]:
    """Read an object to its end; attempts that get much further than any before do not count.

    Returns:
        The status if the storage refuses the URL, for example because it has expired; otherwise 0.
    """
    policy = service.policy
    attempt, furthest = 0, download.size
    while True:
        error: SutroConnectionError | SutroAPIError
        request = Request(
            "GET",
            url,
            headers=download.headers(),
            timeout=Timeout(read=policy.timeout or _SECONDS),
            authorize=False,
            sink=download,
            pace=PACE,
        )
        try:
            response: Response = yield request
        except SutroConnectionError as broken:
            error = broken
        else:
            if response.status in (200, 206):
                if download.complete:
                    return 0
                error = SutroConnectionError("The storage sent less than it announced.")
            else:
                if response.status in _REFUSALS:
                    return response.status
                error = api_error(response, service.settings)
                if response.status == 416:
                    download.restart()
                elif not isinstance(error, SutroServerError) and response.status not in (408, 429):
                    raise error
        # A transfer that starts over each time gets further by chance only.
        step = min(PACE, (download.total or PACE) // 100)
        moved = download.resumable and download.size >= furthest + max(step, 1)
        furthest = max(furthest, download.size)
        attempt = 0 if moved else attempt + 1
        asked = error.retry_after if isinstance(error, SutroAPIError) else None
        delay = policy.backoff(attempt) if asked is None else asked
        if attempt > policy.max_retries or delay > LONGEST_RETRY_AFTER:
            raise error
        yield Sleep(delay)


def _download_directly(
    service: Service, job_id: str, download: Download, options: dict[str, bool]
) -> Operation[None]:
    """The hosted generation has no presigned URLs: one stream, started over where it breaks."""
    url = endpoint(
        service.settings.batch_url,
        "jobs",
        job_id,
        "results",
        result_format="parquet",
        **{name: str(value).lower() for name, value in options.items()},
    )
    headers = {"accept-encoding": "identity"}
    timeout = Timeout(read=service.policy.timeout or 300.0)
    request = Request("GET", url, headers=headers, timeout=timeout, sink=download, pace=PACE)
    yield from send_request(service, request)
    if not download.complete:
        raise SutroConnectionError("The service sent less than it announced.")
