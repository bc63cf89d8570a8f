"""MLflow's model registry on SQLite, in this process: times of creating a version, setting an alias
and getting a version by it, as one JSON object. Argument: an empty directory.
"""

import json
import logging
import sys
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient

VERSIONS = 200

logging.getLogger("alembic").setLevel(logging.ERROR)
logging.getLogger("mlflow").setLevel(logging.ERROR)
home = Path(sys.argv[1])
uri = f"sqlite:///{home}/mlflow.db"
mlflow.set_tracking_uri(uri)
client = MlflowClient(tracking_uri=uri, registry_uri=uri)
client.create_registered_model("support")
(home / "model").mkdir()
times = {"create version": [], "set alias": [], "get by alias": []}


def timed(what, act):
    began = time.perf_counter()
    result = act()
    times[what].append((time.perf_counter() - began) * 1e3)
    return result


source = f"file://{home}/model"
for _ in range(VERSIONS):
    version = timed("create version", lambda: client.create_model_version("support", source))
    number = version.version
    timed("set alias", lambda: client.set_registered_model_alias("support", "champion", number))
    found = timed("get by alias", lambda: client.get_model_version_by_alias("support", "champion"))
    assert found.version == number


def at(values, part):
    values = sorted(values)
    return values[int((len(values) - 1) * part)]


told = {what: {"p50_ms": at(all, 0.5), "p99_ms": at(all, 0.99)} for what, all in times.items()}
cpu = time.process_time()
print(json.dumps({**told, "mlflow": mlflow.__version__, "cpu_seconds": cpu}))
