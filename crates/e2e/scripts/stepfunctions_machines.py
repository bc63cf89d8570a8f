"""boto3 drives versions, aliases, tags, nested executions and Express. Arguments: id, secret, url, key."""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

access_key, secret, url, _ = sys.argv[1:]
sfn = boto3.client(
    "stepfunctions",
    endpoint_url=url,
    region_name="eu-central-1",
    aws_access_key_id=access_key,
    aws_secret_access_key=secret,
    config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
)
role = "arn:aws:iam::123456789012:role/any"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


def ended(execution):
    while True:
        found = sfn.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.02)


def giving(result):
    state = {"Type": "Pass", "Result": result, "End": True}
    return json.dumps({"StartAt": "Give", "States": {"Give": state}})


def calling(resource, **parameters):
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return json.dumps({"StartAt": "Call", "States": {"Call": state}})


def create(name, definition, **more):
    return sfn.create_state_machine(name=name, definition=definition, roleArn=role, **more)


# Versions keep their definition; aliases lead to them by weight.
refused("ValidationException", create, name="flow", definition=giving("a"), versionDescription="no")
made = create("flow", giving("a"), publish=True, versionDescription="the first")
flow = made["stateMachineArn"]
assert made["stateMachineVersionArn"] == flow + ":1", made
assert create("flow", giving("a"), publish=True, versionDescription="the first")["stateMachineVersionArn"] == flow + ":1"
assert "revisionId" not in sfn.describe_state_machine(stateMachineArn=flow)
assert sfn.publish_state_machine_version(stateMachineArn=flow, revisionId="INITIAL")["stateMachineVersionArn"] == flow + ":1"
updated = sfn.update_state_machine(stateMachineArn=flow, definition=giving("b"))
assert "stateMachineVersionArn" not in updated
refused("MissingRequiredParameter", sfn.update_state_machine, stateMachineArn=flow)
refused("ConflictException", sfn.publish_state_machine_version, stateMachineArn=flow, revisionId="INITIAL")
second = sfn.publish_state_machine_version(stateMachineArn=flow, revisionId=updated["revisionId"])
assert second["stateMachineVersionArn"] == flow + ":2", second
third = sfn.update_state_machine(stateMachineArn=flow, definition=giving("c"), publish=True)
assert third["stateMachineVersionArn"] == flow + ":3", third
listed = sfn.list_state_machine_versions(stateMachineArn=flow)["stateMachineVersions"]
assert [one["stateMachineVersionArn"] for one in listed] == [f"{flow}:{n}" for n in (3, 2, 1)], listed
first = sfn.describe_state_machine(stateMachineArn=flow + ":1")
assert (first["stateMachineArn"], first["description"]) == (flow + ":1", "the first"), first
assert first["definition"] == giving("a"), first


def route(*routes):
    return [{"stateMachineVersionArn": f"{flow}:{version}", "weight": weight} for version, weight in routes]


refused("ValidationException", sfn.create_state_machine_alias, name="PROD", routingConfiguration=route((1, 60), (2, 60)))
refused("ResourceNotFound", sfn.create_state_machine_alias, name="PROD", routingConfiguration=route((9, 100)))
refused("ValidationException", sfn.create_state_machine_alias, name="7", routingConfiguration=route((1, 100)))
alias = sfn.create_state_machine_alias(name="PROD", routingConfiguration=route((1, 100)))["stateMachineAliasArn"]
assert alias == flow + ":PROD", alias
assert sfn.create_state_machine_alias(name="PROD", routingConfiguration=route((1, 100)))["stateMachineAliasArn"] == alias
refused("ConflictException", sfn.create_state_machine_alias, name="PROD", routingConfiguration=route((2, 100)))
refused("ConflictException", sfn.delete_state_machine_version, stateMachineVersionArn=flow + ":1")
sfn.update_state_machine_alias(stateMachineAliasArn=alias, description="live", routingConfiguration=route((1, 50), (2, 50)))
shown = sfn.describe_state_machine_alias(stateMachineAliasArn=alias)
assert (shown["name"], shown["description"]) == ("PROD", "live"), shown
assert shown["routingConfiguration"] == route((1, 50), (2, 50)), shown
outputs = set()
for number in range(20):
    run = sfn.start_execution(stateMachineArn=alias, name=f"run-{number}")["executionArn"]
    assert sfn.describe_execution(executionArn=run)["stateMachineAliasArn"] == alias
    outputs.add(ended(run)["output"])
assert outputs == {'"a"', '"b"'}, outputs
pinned = ended(sfn.start_execution(stateMachineArn=flow + ":2", name="pinned")["executionArn"])
assert (pinned["output"], pinned["stateMachineVersionArn"]) == ('"b"', flow + ":2"), pinned
assert "stateMachineAliasArn" not in pinned, pinned
plain = ended(sfn.start_execution(stateMachineArn=flow, name="plain")["executionArn"])
assert plain["output"] == '"c"' and "stateMachineVersionArn" not in plain, plain
assert len(sfn.list_executions(stateMachineArn=alias)["executions"]) == 20
assert "pinned" in [one["name"] for one in sfn.list_executions(stateMachineArn=flow + ":2")["executions"]]
assert sfn.list_state_machine_aliases(stateMachineArn=flow + ":3")["stateMachineAliases"] == []
assert len(sfn.list_state_machine_aliases(stateMachineArn=flow + ":1")["stateMachineAliases"]) == 1
sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
refused("ResourceNotFound", sfn.describe_state_machine_alias, stateMachineAliasArn=alias)
refused("StateMachineDoesNotExist", sfn.start_execution, stateMachineArn=alias)
sfn.delete_state_machine_version(stateMachineVersionArn=flow + ":1")
sfn.delete_state_machine_version(stateMachineVersionArn=flow + ":1")
refused("StateMachineDoesNotExist", sfn.start_execution, stateMachineArn=flow + ":1")

# Tags.
tagged = create("tagged", giving(1), tags=[{"key": "team", "value": "a"}])["stateMachineArn"]
sfn.tag_resource(resourceArn=tagged, tags=[{"key": "team", "value": "b"}, {"key": "cost", "value": "1"}])
sfn.untag_resource(resourceArn=tagged, tagKeys=["cost"])
assert sfn.list_tags_for_resource(resourceArn=tagged)["tags"] == [{"key": "team", "value": "b"}]
activity = sfn.create_activity(name="tagged", tags=[{"key": "k", "value": "v"}])["activityArn"]
assert sfn.list_tags_for_resource(resourceArn=activity)["tags"] == [{"key": "k", "value": "v"}]
refused("ResourceNotFound", sfn.list_tags_for_resource, resourceArn=flow + "x")

# A task waits for the execution that it starts, or does not.
waits = json.dumps({"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": activity, "End": True}}})
child = create("child", waits)["stateMachineArn"]
start = "arn:aws:states:::states:startExecution"
parent = create("parent", calling(start + ".sync:2", StateMachineArn=child, Input={"n": 1}))["stateMachineArn"]
run = sfn.start_execution(stateMachineArn=parent, name="one")["executionArn"]
token = sfn.get_activity_task(activityArn=activity)["taskToken"]
sfn.send_task_success(taskToken=token, output='{"good": true}')
output = json.loads(ended(run)["output"])
assert output["Output"] == {"good": True} and output["Status"] == "SUCCEEDED", output
types = [event["type"] for event in sfn.get_execution_history(executionArn=run)["events"]]
assert types[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"], types
sfn.update_state_machine(stateMachineArn=parent, definition=calling(start + ".sync", StateMachineArn=child))
run = sfn.start_execution(stateMachineArn=parent, name="two")["executionArn"]
token = sfn.get_activity_task(activityArn=activity)["taskToken"]
sfn.send_task_failure(taskToken=token, error="Bad", cause="told so")
failed = ended(run)
assert failed["error"] == "States.TaskFailed", failed
assert json.loads(failed["cause"])["Error"] == "Bad", failed
run = sfn.start_execution(stateMachineArn=parent, name="three")["executionArn"]
token = sfn.get_activity_task(activityArn=activity)["taskToken"]
sfn.stop_execution(executionArn=run)
while sfn.list_executions(stateMachineArn=child, statusFilter="RUNNING")["executions"]:
    time.sleep(0.02)
refused("TaskTimedOut", sfn.send_task_success, taskToken=token, output="{}")
missing = create("missing", calling(start, StateMachineArn=child + "x"))["stateMachineArn"]
failed = ended(sfn.start_execution(stateMachineArn=missing)["executionArn"])
assert failed["error"] == "StepFunctions.StateMachineDoesNotExistException", failed

# Express: in memory, with an answer at once.
message = refused("InvalidDefinition", create, name="bad", definition=waits, type="EXPRESS")
assert "/States/Ask/Resource" in message, message
checked = sfn.validate_state_machine_definition(definition=waits, type="EXPRESS")
assert checked["result"] == "FAIL", checked
express = create("express", giving({"n": 2}), type="EXPRESS")["stateMachineArn"]
refused("StateMachineAlreadyExists", create, name="express", definition=giving({"n": 2}))
assert sfn.describe_state_machine(stateMachineArn=express)["type"] == "EXPRESS"
done = sfn.start_sync_execution(stateMachineArn=express, name="one", input='{"n": 1}')
assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"n": 2}), done
assert (done["name"], done["stateMachineArn"], json.loads(done["input"])) == ("one", express, {"n": 1}), done
assert ":express:express:one:" in done["executionArn"], done
begun = sfn.start_execution(stateMachineArn=express, name="one")["executionArn"]
assert sfn.start_execution(stateMachineArn=express, name="one")["executionArn"] != begun
refused("InvalidArn", sfn.describe_execution, executionArn=begun)
refused("InvalidArn", sfn.get_execution_history, executionArn=begun)
refused("InvalidArn", sfn.stop_execution, executionArn=begun)
refused("StateMachineTypeNotSupported", sfn.list_executions, stateMachineArn=express)
refused("StateMachineTypeNotSupported", sfn.start_sync_execution, stateMachineArn=flow)
quick = create("quick", calling(start, StateMachineArn=express), type="EXPRESS")["stateMachineArn"]
done = sfn.start_sync_execution(stateMachineArn=quick)
assert ":express:express:" in json.loads(done["output"])["ExecutionArn"], done
broken = json.dumps({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Bad", "Cause": "told so"}}})
broken = create("broken", broken, type="EXPRESS")["stateMachineArn"]
done = sfn.start_sync_execution(stateMachineArn=broken)
assert (done["status"], done["error"], done["cause"]) == ("FAILED", "Bad", "told so"), done

sfn.delete_state_machine(stateMachineArn=flow)
assert sfn.list_state_machine_versions(stateMachineArn=flow)["stateMachineVersions"] == []
print("done")
