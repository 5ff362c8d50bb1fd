"""Latencies of services compared request by request: what the machine does meets all of them."""

from statistics import quantiles

from benchmarks.abuse.cases import require
from benchmarks.abuse.service import Service

REQUESTS = 2000
"""For each service: twenty of them lie beyond the 99th percentile."""


async def p99_in_turn(*services: Service, **fields: object) -> list[float]:
    """The 99th percentile in ms of each of the services, which get the same short request in turn.

    One after the other, each service's share of the measurement would have its own weather: the
    percentile of one and the same service differed by a factor of two within minutes.
    """
    times: list[list[float]] = [[] for _ in services]
    for _ in range(REQUESTS):
        for service, own in zip(services, times, strict=True):
            reply = await service.translate("Yes.", **fields)
            require(reply.status_code == 200, f"a request got {reply.status_code}")
            own.append(1000 * reply.elapsed.total_seconds())
    return [quantiles(own, n=100)[98] for own in times]
