"""Logs traces as MLflow's users do, by its SDK against its tracking server; runs in an environment of its own.

Usage: python mlflow_user.py TRACKING_URI TRACES. Prints one JSON line: seconds until all can be searched, the call's cost.
"""

import json
import logging
import sys
from time import perf_counter, sleep

import mlflow

logging.getLogger("mlflow").setLevel(logging.ERROR)
uri, traces = sys.argv[1], int(sys.argv[2])
mlflow.set_tracking_uri(uri)
experiment = mlflow.set_experiment(f"traces-{perf_counter()}")


def log(number: int) -> None:
    """One call of a model, as a trace of one span."""
    with mlflow.start_span("predict") as span:
        span.set_inputs(
            {"amount": 150.75, "merchant": f"merchant-{number % 211}", "user_id": f"user_{number}"}
        )
        span.set_outputs({"fraud_probability": 0.62})


for number in range(20):
    log(number)
mlflow.flush_trace_async_logging()
cost, began = [], perf_counter()
for number in range(traces):
    before = perf_counter()
    log(number)
    cost.append(perf_counter() - before)
mlflow.flush_trace_async_logging()
client = mlflow.MlflowClient()
while True:
    found, token = 0, None
    while True:
        page = client.search_traces(
            locations=[experiment.experiment_id], max_results=500, page_token=token, include_spans=False
        )
        found, token = found + len(page), page.token
        if not token:
            break
    if found >= traces + 20:
        break
    sleep(0.05)
print(json.dumps({"seconds": perf_counter() - began, "records": traces, "cost_s": cost}))
