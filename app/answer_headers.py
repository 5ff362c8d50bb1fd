"""The headers in which an answer tells how it was made and where it is kept."""

from collections.abc import Mapping

from starlette.requests import Request

from app.archive import ArchivedAnswer


def server_timing(timings: Mapping[str, float]) -> str:
    """Value of `Server-Timing`, from milliseconds of each stage."""
    return ", ".join(f"{name};dur={value:.1f}" for name, value in timings.items())


def answer_headers(request: Request, answer: ArchivedAnswer) -> dict[str, str]:
    """Headers of a translation that is complete."""
    headers = {"X-Model": answer.model}
    if answer.timings:
        headers["Server-Timing"] = server_timing(answer.timings)
    if answer.record_id is not None:
        prefix = request.scope.get("root_path", "")
        headers["Location"] = f"{prefix}/v1/translations/{answer.record_id}"
    if answer.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers
