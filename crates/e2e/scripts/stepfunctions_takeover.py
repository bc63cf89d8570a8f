"""boto3 takes a task from one server and reports it to another. Arguments: make, take or report, id,
secret, the token to report with, url, key."""

import json
import sys

import boto3
from botocore.config import Config

phase, access_key, secret, *token, url, _ = sys.argv[1:]
sfn = boto3.client(
    "stepfunctions",
    endpoint_url=url,
    region_name="eu-central-1",
    aws_access_key_id=access_key,
    aws_secret_access_key=secret,
    config=Config(retries={"max_attempts": 1}, inject_host_prefix=False),
)
if phase == "make":
    sfn.create_activity(name="work")
elif phase == "take":
    arn = "arn:aws:states:local:000000000000:activity:work"
    print(sfn.get_activity_task(activityArn=arn)["taskToken"])
else:
    sfn.send_task_success(taskToken=token[0], output=json.dumps({"did": "well"}))
