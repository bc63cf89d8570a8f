"""boto3 drives workflows: activities, task tokens, histories, redrive. Arguments: id, secret, url, key."""

import json
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

access_key, secret, url, _ = sys.argv[1:]


def client(secret_key):
    return boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


sfn = client(secret)
refused("InvalidSignatureException", client("wrong" + secret).list_activities)

activity = sfn.create_activity(name="review")["activityArn"]
assert sfn.create_activity(name="review")["activityArn"] == activity
assert [one["name"] for one in sfn.list_activities()["activities"]] == ["review"]
role = "arn:aws:iam::123456789012:role/any"
definition = {
    "StartAt": "Review",
    "States": {
        "Review": {
            "Type": "Task",
            "Resource": activity,
            "TimeoutSeconds": 600,
            "HeartbeatSeconds": 60,
            "Parameters": {"draft.$": "$.draft"},
            "ResultPath": "$.review",
            "End": True,
        }
    },
}
text = json.dumps(definition)
machine = sfn.create_state_machine(name="publish", definition=text, roleArn=role)["stateMachineArn"]
assert sfn.create_state_machine(name="publish", definition=text, roleArn=role)["stateMachineArn"] == machine
refused("StateMachineAlreadyExists", sfn.create_state_machine, name="publish", definition=text + " ", roleArn=role)
message = refused("InvalidDefinition", sfn.create_state_machine, name="bad", definition='{"StartAt": "A"}', roleArn=role)
assert "States" in message, message
assert sfn.describe_state_machine(stateMachineArn=machine)["definition"] == text
checked = sfn.validate_state_machine_definition(definition='{"StartAt": "A", "States": {}}')
assert checked["result"] == "FAIL" and checked["diagnostics"], checked

# A worker waits before there is work, and is woken by it.
given = {}


def work():
    given.update(client(secret).get_activity_task(activityArn=activity, workerName="ada"))


worker = threading.Thread(target=work)
worker.start()
execution = sfn.start_execution(stateMachineArn=machine, name="one", input='{"draft": "Hello"}')["executionArn"]
assert sfn.start_execution(stateMachineArn=machine, name="one", input='{"draft": "Hello"}')["executionArn"] == execution
refused("ExecutionAlreadyExists", sfn.start_execution, stateMachineArn=machine, name="one", input="{}")
worker.join(30)
assert json.loads(given["input"]) == {"draft": "Hello"}, given
token = given["taskToken"]
sfn.send_task_heartbeat(taskToken=token)
refused("InvalidToken", sfn.send_task_success, taskToken="f" * 64, output="{}")
refused("InvalidOutput", sfn.send_task_success, taskToken=token, output="{")
sfn.send_task_success(taskToken=token, output='{"good": true}')
refused("TaskTimedOut", sfn.send_task_success, taskToken=token, output='{"good": false}')
done = sfn.describe_execution(executionArn=execution)
assert done["status"] == "SUCCEEDED", done
assert json.loads(done["output"]) == {"draft": "Hello", "review": {"good": True}}, done
events = sfn.get_execution_history(executionArn=execution)["events"]
assert [event["type"] for event in events] == [
    "ExecutionStarted",
    "TaskStateEntered",
    "ActivityScheduled",
    "ActivityStarted",
    "ActivitySucceeded",
    "TaskStateExited",
    "ExecutionSucceeded",
], events
assert events[3]["activityStartedEventDetails"]["workerName"] == "ada"
pages = sfn.get_paginator("get_execution_history").paginate(executionArn=execution, PaginationConfig={"PageSize": 3})
assert [event["id"] for page in pages for event in page["events"]] == list(range(1, 8))

# What failed is tried again by a redrive.
second = sfn.start_execution(stateMachineArn=machine, name="two", input='{"draft": "Hm"}')["executionArn"]
token = sfn.get_activity_task(activityArn=activity)["taskToken"]
sfn.send_task_failure(taskToken=token, error="Rejected", cause="too short")
failed = sfn.describe_execution(executionArn=second)
assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "Rejected", "too short"), failed
refused("ExecutionNotRedrivable", sfn.redrive_execution, executionArn=execution)
sfn.redrive_execution(executionArn=second)
token = sfn.get_activity_task(activityArn=activity)["taskToken"]
sfn.send_task_success(taskToken=token, output="{}")
again = sfn.describe_execution(executionArn=second)
assert (again["status"], again["redriveCount"]) == ("SUCCEEDED", 1), again

third = sfn.start_execution(stateMachineArn=machine, name="three", input='{"draft": ""}')["executionArn"]
sfn.stop_execution(executionArn=third, error="Enough", cause="not needed")
assert sfn.describe_execution(executionArn=third)["status"] == "ABORTED"
listed = sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]
assert {one["name"] for one in listed} == {"one", "two"}
refused("ExecutionDoesNotExist", sfn.describe_execution, executionArn=execution + "x")
refused("ActivityDoesNotExist", sfn.get_activity_task, activityArn=activity + "x")
refused("InvalidArn", sfn.describe_execution, executionArn="arn:aws:sns:us-east-1:1:topic")

# The items of a distributed Map are executions of their own.
each = {
    "Type": "Map",
    "Label": "each",
    "ToleratedFailureCount": 1,
    "ItemReader": {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
        "Parameters": {"Bucket": "lists", "Key": "in.csv"},
    },
    "ResultWriter": {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": "lists", "Prefix": "out"},
    },
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Check",
        "States": {
            "Check": {"Type": "Choice", "Choices": [{"Variable": "$.n", "StringEquals": "2", "Next": "No"}], "Default": "Yes"},
            "Yes": {"Type": "Succeed"},
            "No": {"Type": "Fail", "Error": "Two"},
        },
    },
    "End": True,
}
text = json.dumps({"StartAt": "Each", "States": {"Each": each}})
maps = sfn.create_state_machine(name="maps", definition=text, roleArn=role)["stateMachineArn"]
parent = sfn.start_execution(stateMachineArn=maps, name="one")["executionArn"]
for _ in range(600):
    told = sfn.describe_execution(executionArn=parent)
    runs = sfn.list_map_runs(executionArn=parent)["mapRuns"]
    if told["status"] != "RUNNING" and runs and "stopDate" in runs[0]:
        break
    time.sleep(0.05)
assert told["status"] == "SUCCEEDED", told
run = sfn.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
assert (run["status"], run["executionArn"]) == ("SUCCEEDED", parent), run
counts = run["executionCounts"]
assert (counts["total"], counts["succeeded"], counts["failed"], counts["resultsWritten"]) == (3, 2, 1, 3), counts
refused("ValidationException", sfn.update_map_run, mapRunArn=run["mapRunArn"], maxConcurrency=5)
refused("ResourceNotFound", sfn.describe_map_run, mapRunArn=run["mapRunArn"] + "x")
first = sfn.list_executions(mapRunArn=run["mapRunArn"], maxResults=2)
assert len(first["executions"]) == 2 and "nextToken" in first, first
(two,) = sfn.list_executions(mapRunArn=run["mapRunArn"], statusFilter="FAILED")["executions"]
assert ":execution:maps/each:" in two["executionArn"], two
item = sfn.describe_execution(executionArn=two["executionArn"])
assert (item["error"], item["mapRunArn"], json.loads(item["input"])) == ("Two", run["mapRunArn"], {"n": "2"}), item
kinds = [event["type"] for event in sfn.get_execution_history(executionArn=two["executionArn"])["events"]]
assert kinds[0] == "ExecutionStarted" and kinds[-1] == "ExecutionFailed", kinds
assert len(sfn.list_executions(stateMachineArn=maps)["executions"]) == 1
sfn.delete_state_machine(stateMachineArn=maps)

state = json.dumps({"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($.a, 1)"}, "End": True})
tested = sfn.test_state(definition=state, roleArn=role, input='{"a": 2}')
assert (tested["status"], tested["output"]) == ("SUCCEEDED", '{"sum":3}'), tested

events = boto3.client(
    "events",
    endpoint_url=url,
    region_name="eu-central-1",
    aws_access_key_id=access_key,
    aws_secret_access_key=secret,
)
posted = events.put_events(
    Entries=[
        {"Source": "shop", "DetailType": "order", "Detail": '{"total": 3}'},
        {"Source": "shop", "DetailType": "order", "Detail": "{"},
        {"Source": "groundcrew", "DetailType": "order", "Detail": "{}"},
    ]
)
assert posted["FailedEntryCount"] == 2 and "EventId" in posted["Entries"][0], posted
assert posted["Entries"][1]["ErrorCode"] == "MalformedDetail", posted

sfn.delete_state_machine(stateMachineArn=machine)
refused("StateMachineDoesNotExist", sfn.describe_state_machine, stateMachineArn=machine)
sfn.delete_activity(activityArn=activity)
assert sfn.list_activities()["activities"] == []
print("done")
