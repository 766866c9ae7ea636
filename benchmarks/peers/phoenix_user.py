"""Logs spans as Phoenix's users do, by OpenTelemetry with its batch processor; runs in an environment of its own.

Usage: python phoenix_user.py URL SPANS. Prints one JSON line: seconds until all can be queried, the call's cost.
"""

import json
import sys
from time import perf_counter, sleep
from urllib.request import Request, urlopen

from phoenix.otel import register

url, spans = sys.argv[1], int(sys.argv[2])
project = f"spans-{perf_counter()}"
provider = register(
    endpoint=f"{url}/v1/traces", project_name=project, batch=True, protocol="http/protobuf", verbose=False,
    set_global_tracer_provider=False,
)  # fmt: skip
tracer = provider.get_tracer("benchmark")


def log(number: int) -> None:
    """One call of a model, as one span."""
    with tracer.start_as_current_span("predict") as span:
        inputs = {"amount": 150.75, "merchant": f"merchant-{number % 211}", "user_id": f"user_{number}"}
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("input.value", json.dumps(inputs))
        span.set_attribute("output.value", '{"fraud_probability": 0.62}')


def queryable() -> int:
    """Spans of the project that the server finds."""
    query = {"query": "{projects(first: 1000){edges{node{name recordCount}}}}"}
    request = Request(f"{url}/graphql", json.dumps(query).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        edges = json.load(answer)["data"]["projects"]["edges"]
    return next((edge["node"]["recordCount"] for edge in edges if edge["node"]["name"] == project), 0)


for number in range(20):
    log(number)
provider.force_flush()
while queryable() < 20:
    sleep(0.05)
cost, began = [], perf_counter()
for number in range(spans):
    before = perf_counter()
    log(number)
    cost.append(perf_counter() - before)
provider.force_flush()
# What the batch processor's queue could not hold is never sent: the count then stands still.
found, since = 0, perf_counter()
while found < spans + 20 and perf_counter() - since < 30:
    now = queryable()
    if now > found:
        found, since = now, perf_counter()
    sleep(0.05)
print(json.dumps({"seconds": since - began, "records": found - 20, "cost_s": cost}))
