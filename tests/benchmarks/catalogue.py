"""Every measurement, in the order in which it is made and shown."""

from tests.benchmarks import (
    audit,
    growth,
    latency,
    ledger,
    log,
    machine,
    orders,
    recovery,
    requests,
    restore,
    verifier,
    watcher,
)

MEASUREMENTS = tuple(
    module.MEASUREMENT
    for module in (
        machine,
        ledger,
        audit,
        watcher,
        orders,
        requests,
        latency,
        growth,
        restore,
        recovery,
        verifier,
        log,
    )
)

LONG = (log.LARGE_MEASUREMENT,)
"""Made only when they are named."""
