"""boto3 keeps event rules and schedules. Arguments: id, secret, url, key."""

import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

access_key, secret, url, _ = sys.argv[1:]


def client(service):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 1}),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


def started(count):
    """Waits for so many executions; their inputs."""
    while True:
        found = sfn.list_executions(stateMachineArn=machine)["executions"]
        if len(found) >= count:
            assert len(found) == count, found
            found = [sfn.describe_execution(executionArn=one["executionArn"]) for one in found]
            return {one["name"]: json.loads(one["input"]) for one in found}


sfn, events, scheduler = client("stepfunctions"), client("events"), client("scheduler")
role = "arn:aws:iam::123456789012:role/any"
definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
machine = sfn.create_state_machine(name="OnOrder", definition=definition, roleArn=role)["stateMachineArn"]

# Rules.
pattern = json.dumps({"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}})
rule = events.put_rule(Name="large", EventPattern=pattern, Description="Large orders")["RuleArn"]
message = refused("ValidationException", events.put_rule, Name="often", ScheduleExpression="rate(5 minutes)")
assert "CreateSchedule" in message, message
refused("InvalidEventPatternException", events.put_rule, Name="bad", EventPattern='{"source": "shop"}')
refused("ResourceNotFoundException", events.put_rule, Name="x", EventPattern=pattern, EventBusName="other")
refused("ResourceNotFoundException", events.put_targets, Rule="none", Targets=[{"Id": "1", "Arn": machine}])
put = events.put_targets(
    Rule="large",
    Targets=[
        {"Id": "whole", "Arn": machine, "RoleArn": role},
        {"Id": "part-1", "Arn": machine, "InputPath": "$.detail"},
        {"Id": "fixed", "Arn": machine, "Input": '{"fixed": "<not-a-variable>"}'},
        {
            "Id": "made",
            "Arn": machine,
            "InputTransformer": {"InputPathsMap": {"t": "$.detail.total"}, "InputTemplate": '{"paid": <t>}'},
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:123456789012:dead"},
        },
        {"Id": "queue", "Arn": "arn:aws:sqs:eu-central-1:123456789012:orders"},
        {"Id": "bad", "Arn": machine, "Input": "{"},
    ],
)
assert put["FailedEntryCount"] == 2, put
assert {one["TargetId"] for one in put["FailedEntries"]} == {"queue", "bad"}, put
described = events.describe_rule(Name="large")
assert (described["Arn"], described["State"], described["Description"]) == (rule, "ENABLED", "Large orders"), described
assert json.loads(described["EventPattern"]) == json.loads(pattern)
assert [one["Name"] for one in events.list_rules(NamePrefix="la")["Rules"]] == ["large"]
assert events.list_rules(NamePrefix="x")["Rules"] == []
targets = {one["Id"]: one for one in events.list_targets_by_rule(Rule="large")["Targets"]}
assert set(targets) == {"whole", "part-1", "fixed", "made"}, targets
arn = targets["whole"]["Arn"]
assert arn.endswith(":stateMachine:OnOrder"), arn
assert targets["made"]["InputTransformer"]["InputPathsMap"] == {"t": "$.detail.total"}
assert targets["made"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3600
assert json.loads(targets["fixed"]["Input"]) == {"fixed": "<not-a-variable>"}
assert events.list_rule_names_by_target(TargetArn=arn)["RuleNames"] == ["large"]
page = events.list_targets_by_rule(Rule="large", Limit=3)
rest = events.list_targets_by_rule(Rule="large", Limit=3, NextToken=page["NextToken"])
assert len(page["Targets"]) == 3 and len(rest["Targets"]) == 1 and "NextToken" not in rest

event = {"source": "shop", "detail-type": "order", "detail": {"total": 150}}
assert events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
event["detail"]["total"] = 50
assert not events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]


def order(total):
    entry = {"Source": "shop", "DetailType": "order", "Detail": json.dumps({"total": total})}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


order(50)
order(150)
inputs = started(4)
by_target = {name.rsplit("-", 1)[1]: given for name, given in inputs.items()}
assert by_target["whole"]["detail"] == {"total": 150} and by_target["whole"]["source"] == "shop", inputs
assert by_target["fixed"] == {"fixed": "<not-a-variable>"}, inputs
assert by_target["made"] == {"paid": 150}, inputs
assert {"total": 150} in inputs.values(), inputs

# Another pattern keeps the targets; a disabled rule does nothing.
events.put_rule(Name="large", EventPattern='{"source": ["shop"]}')
assert len(events.list_targets_by_rule(Rule="large")["Targets"]) == 4
message = refused("ValidationException", events.delete_rule, Name="large")
assert "has targets" in message, message
events.remove_targets(Rule="large", Ids=["whole", "part-1", "fixed"])
events.disable_rule(Name="large")
order(1)
events.put_rule(Name="second", EventPattern='{"source": ["shop"], "detail": {"total": [2]}}')
events.put_targets(Rule="second", Targets=[{"Id": "1", "Arn": machine}])
order(2)
started(5)
events.enable_rule(Name="large")
order(3)
started(6)

# A target may be an alias, and an event tells when it happened and what it is about.
version = sfn.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
routes = [{"stateMachineVersionArn": version, "weight": 100}]
alias = sfn.create_state_machine_alias(name="LIVE", routingConfiguration=routes)["stateMachineAliasArn"]
events.put_rule(Name="about", EventPattern='{"resources": [{"suffix": ":bucket/orders"}]}')
assert events.put_targets(Rule="about", Targets=[{"Id": "1", "Arn": alias}])["FailedEntryCount"] == 0
happened = datetime.datetime(2020, 5, 1, 12, 30, tzinfo=datetime.timezone.utc)
entry = {"Source": "depot", "DetailType": "arrived", "Detail": "{}", "Time": happened}
events.put_events(Entries=[{**entry, "Resources": ["arn:aws:s3:::bucket/orders"]}, entry])
given = next(given for name, given in started(7).items() if name.startswith("about-"))
assert given["resources"] == ["arn:aws:s3:::bucket/orders"], given
assert given["time"] == "2020-05-01T12:30:00Z", given
execution = sfn.list_executions(stateMachineArn=alias)["executions"][0]
assert execution["name"].startswith("about-") and execution["stateMachineAliasArn"] == alias, execution
events.remove_targets(Rule="large", Ids=["made"])
events.delete_rule(Name="large")
events.delete_rule(Name="large")
refused("ResourceNotFoundException", events.describe_rule, Name="large")
assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default"]
assert events.describe_event_bus()["Name"] == "default"

# Schedules.
target = {"Arn": machine, "RoleArn": role, "Input": '{"at": "<aws.scheduler.scheduled-time>"}'}
off = {"Mode": "OFF"}
start = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
made = scheduler.create_schedule(
    Name="Nightly",
    ScheduleExpression="cron(0 3 * * ? *)",
    ScheduleExpressionTimezone="Europe/Berlin",
    StartDate=start,
    Target={**target, "RetryPolicy": {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 0}},
    FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
    Description="At night",
    State="DISABLED",
    ClientToken="first",
)
again = dict(Name="Nightly", ScheduleExpression="rate(1 hour)", Target=target, FlexibleTimeWindow=off)
assert scheduler.create_schedule(**again, ClientToken="first")["ScheduleArn"] == made["ScheduleArn"]
refused("ConflictException", scheduler.create_schedule, **again, ClientToken="second")
found = scheduler.get_schedule(Name="Nightly", GroupName="default")
assert found["Arn"] == made["ScheduleArn"] and found["State"] == "DISABLED", found
assert found["ScheduleExpressionTimezone"] == "Europe/Berlin" and found["StartDate"] == start, found
assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, found
assert found["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 600, found
assert found["ActionAfterCompletion"] == "NONE" and found["Description"] == "At night", found
scheduler.update_schedule(**again)
found = scheduler.get_schedule(Name="Nightly")
assert found["ScheduleExpression"] == "rate(1 hour)" and found["State"] == "ENABLED", found
assert found["LastModificationDate"] > found["CreationDate"], found
refused("ResourceNotFoundException", scheduler.update_schedule, **{**again, "Name": "none"})
refused("ResourceNotFoundException", scheduler.get_schedule, Name="none")
refused("ResourceNotFoundException", scheduler.get_schedule, Name="Nightly", GroupName="other")
for wrong in (
    {"ScheduleExpression": "rate(1 fortnight)"},
    {"ScheduleExpressionTimezone": "Mars/Olympus"},
    {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
    {"Target": {"Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f", "RoleArn": role}},
    {"Target": {**target, "Input": "{"}},
):
    refused("ValidationException", scheduler.create_schedule, **{**again, "Name": "wrong", **wrong})
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
soon = soon.strftime("%Y-%m-%dT%H:%M:%S")
once = {**again, "Name": "Once", "ScheduleExpression": f"at({soon})", "ActionAfterCompletion": "DELETE"}
scheduler.create_schedule(**once)
listed = scheduler.list_schedules(State="ENABLED", NamePrefix="N")["Schedules"]
assert [(one["Name"], one["Target"]["Arn"]) for one in listed] == [("Nightly", arn)], listed
pages = scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 1})
assert {one["Name"] for page in pages for one in page["Schedules"]} >= {"Nightly"}
assert {"at": soon + "Z"} in started(8).values()
while any(one["Name"] == "Once" for one in scheduler.list_schedules()["Schedules"]):
    pass
assert [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default"]
assert scheduler.get_schedule_group(Name="default")["State"] == "ACTIVE"
refused("ValidationException", scheduler.create_schedule_group, Name="mine")
scheduler.delete_schedule(Name="Nightly")
refused("ResourceNotFoundException", scheduler.delete_schedule, Name="Nightly")
assert scheduler.list_schedules()["Schedules"] == []
print("done")
