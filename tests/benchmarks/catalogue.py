"""Every measurement, in the order in which it is made and shown."""

from tests.benchmarks import audit, bench_verify, growth, latency, ledger, machine, orders, recovery, requests, watcher

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
        recovery,
        bench_verify,
    )
)
