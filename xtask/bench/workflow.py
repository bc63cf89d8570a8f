"""The same shape of work on peers: executions of five states, so many in flight.

    workflow.py stepfunctions URL ACCESS_KEY SECRET PID   any server with Step Functions' API
    workflow.py dbos POSTGRES_URL                         DBOS, a library on Postgres

Prints one JSON line for each number in flight.
"""

import json
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

SECONDS = 4
IN_FLIGHT = [1, 16, 64]


def cpu(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split(" ")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(run, pid):
    for in_flight in IN_FLIGHT:
        stop = time.monotonic() + SECONDS

        def work(_):
            done = []
            while time.monotonic() < stop:
                begun = time.monotonic()
                run()
                done.append(time.monotonic() - begun)
            return done

        begun, used = time.monotonic(), cpu(pid)
        with ThreadPoolExecutor(in_flight) as pool:
            took = sorted(one for many in pool.map(work, range(in_flight)) for one in many)
        elapsed, used = time.monotonic() - begun, cpu(pid) - used
        told = {
            "in_flight": in_flight,
            "executions_per_second": len(took) / elapsed,
            "executions_per_cpu_second": len(took) / used if used else None,
            "p50_ms": took[len(took) // 2] * 1e3,
            "p99_ms": took[int((len(took) - 1) * 0.99)] * 1e3,
        }
        print(json.dumps(told), flush=True)


def stepfunctions(url, access_key, secret, pid):
    import boto3
    from botocore.config import Config

    sfn = boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(max_pool_connections=max(IN_FLIGHT)),
    )
    names = ["One", "Two", "Three", "Four", "Five"]
    states = {name: {"Type": "Pass", "Next": next_} for name, next_ in zip(names, names[1:])}
    states["Five"] = {"Type": "Pass", "End": True}
    machine = sfn.create_state_machine(
        name=f"five-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "One", "States": states}),
        roleArn="arn:aws:iam::000000000000:role/bench",
    )["stateMachineArn"]

    def run():
        started = sfn.start_execution(stateMachineArn=machine, name=uuid.uuid4().hex, input='{"of": 1}')
        started = started["executionArn"]
        while sfn.describe_execution(executionArn=started)["status"] == "RUNNING":
            time.sleep(0.002)

    measure(run, pid)


def dbos(url):
    from dbos import DBOS

    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False})

    @DBOS.step()
    def step(value):
        return value

    @DBOS.workflow()
    def five(value):
        for _ in range(5):
            value = step(value)
        return value

    DBOS.launch()
    measure(lambda: five({"of": 1}), os.getpid())
    DBOS.destroy()


if __name__ == "__main__":
    {"stepfunctions": stepfunctions, "dbos": dbos}[sys.argv[1]](*sys.argv[2:])
