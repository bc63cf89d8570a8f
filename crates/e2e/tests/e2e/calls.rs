//! What workflows call: functions, services over HTTP, webhooks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use e2e::Stage;
use serde_json::{Value, json};

/// A request as a service gets it.
struct Asked {
    line: String,
    headers: String,
    body: String,
}

/// A service that answers `/orders`, and everything else the second time it is asked; its address
/// and what it is asked.
fn service() -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            // It ends with the test.
            if answer(stream.unwrap(), number, &told).is_err() {
                break;
            }
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, number: usize, told: &Sender<Asked>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    while !headers.ends_with("\r\n\r\n") {
        reader.read_line(&mut headers)?;
    }
    let length = headers.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    let found = line.contains("/orders") || number > 1;
    let status = if found { "200 OK" } else { "410 Gone" };
    let reply = r#"{"total": 12}"#;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{reply}",
        reply.len()
    )?;
    told.send(Asked { line, headers, body: String::from_utf8(body)? })?;
    Ok(())
}

fn server(more: &str) -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", &format!("listen = \"127.0.0.1:0\"\n{more}")).unwrap();
    stage.start().unwrap();
    stage
}

/// Runs a definition to its end.
fn ran(stage: &Stage, name: &str, states: Value, input: &str) -> Value {
    let first = states.as_object().unwrap().keys().next().unwrap().clone();
    let text = json!({"StartAt": first, "States": states}).to_string();
    stage.write("flow.asl.json", &text).unwrap();
    stage.groundcrew(&["workflow", "define", name, "flow.asl.json"]).unwrap();
    // Whoever waits is told of a failure as one.
    let start = ["workflow", "start", name, "--name", "one", "--input", input];
    stage.groundcrew(&start).unwrap();
    loop {
        let shown = stage.json(&["workflow", "show", &format!("{name}/one")]).unwrap();
        if shown["status"] != "RUNNING" {
            return shown;
        }
    }
}

#[test]
fn a_workflow_asks_a_function_and_a_service_that_the_operator_offers() {
    let (address, asked) = service();
    let mut stage = Stage::empty().unwrap();
    stage.write("shop.key", "secret\n").unwrap();
    stage.write("functions/double.sh", "read n; echo \"working\" >&2; echo $((n * 2))\n").unwrap();
    let key = stage.path().join("shop.key").display().to_string();
    let file = format!(
        "listen = \"127.0.0.1:0\"\n\
         [functions.double]\ncommand = [\"sh\", \"double.sh\"]\ndirectory = \"functions\"\n\
         [connections.shop]\nurl = \"{address}/v1\"\n\
         authorization = {{ kind = \"bearer\", token = \"file:{key}\" }}\n"
    );
    stage.write("server.toml", &file).unwrap();
    stage.start().unwrap();
    let connection = "arn:aws:events:eu-central-1:123456789012:connection/shop/0b2f";
    let states = json!({
        "Double": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "double", "Payload.$": "$.n"},
            "ResultSelector": {"n.$": "$.Payload"}, "Next": "Order"},
        "Order": {"Type": "Task", "Resource": "arn:aws:states:::http:invoke",
            "Parameters": {"Method": "POST", "ApiEndpoint": format!("{address}/v1/orders"),
                "InvocationConfig": {"ConnectionArn": connection}, "RequestBody.$": "$"},
            "ResultSelector": {"status.$": "$.StatusCode", "total.$": "$.ResponseBody.total"},
            "End": true},
    });
    let shown = ran(&stage, "order", states, r#"{"n": 21}"#);
    assert_eq!(shown["output"], json!({"status": 200, "total": 12}), "{shown:#}");
    let Asked { line, headers, body } = asked.recv().unwrap();
    assert_eq!((line.trim(), body.as_str()), ("POST /v1/orders HTTP/1.1", r#"{"n":42}"#));
    assert!(headers.contains("authorization: Bearer secret\r\n"), "{headers}");
    assert!(!serde_json::to_string(&shown).unwrap().contains("secret"));
    let elsewhere = json!({"Order": {"Type": "Task", "Resource": "arn:aws:states:::http:invoke",
        "Parameters": {"Method": "GET", "ApiEndpoint": format!("{address}/admin"),
            "InvocationConfig": {"ConnectionArn": connection}}, "End": true}});
    assert_eq!(ran(&stage, "elsewhere", elsewhere, "{}")["error"], "States.Permissions");
}

#[test]
fn an_execution_that_is_stopped_ends_the_command_it_waits_for() {
    let stage = server(
        "[functions.hang]\ncommand = [\"sh\", \"-c\", \
         \"exec 3> pipe; echo ready >&3; echo at it >&2; sleep 1000 & wait\"]\n",
    );
    let pipe = stage.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let text = json!({"StartAt": "Hang", "States": {"Hang": {"Type": "Task", "End": true,
        "Resource": "arn:aws:lambda:eu-central-1:123456789012:function:hang"}}});
    stage.write("flow.asl.json", &text.to_string()).unwrap();
    stage.groundcrew(&["workflow", "define", "hang", "flow.asl.json"]).unwrap();
    stage.groundcrew(&["workflow", "start", "hang", "--name", "one"]).unwrap();
    let mut pipe = std::fs::File::open(pipe).unwrap();
    pipe.read_exact(&mut [0; 6]).unwrap();
    loop {
        let shown = stage.groundcrew(&["workflow", "show", "hang/one"]).unwrap();
        if shown.contains("progress: {\"Hang\":\"at it\"}") {
            break;
        }
    }
    stage.groundcrew(&["workflow", "stop", "hang/one"]).unwrap();
    // It ends when nobody holds the other end any more.
    assert_eq!(pipe.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_webhook_is_called_by_a_rule_and_again_when_its_dead_letter_is_delivered() {
    let (address, asked) = service();
    let stage = server(&format!("[connections.pager]\nurl = \"{address}\"\n"));
    let rule = "[pattern]\nsource = [\"shop\"]\n\
        [[targets]]\nkind = \"webhook\"\nconnection = \"pager\"\npath = \"/alerts\"\n\
        input = { path = \"$.detail\" }\n";
    stage.write("alert.rule.toml", rule).unwrap();
    stage.groundcrew(&["workflow", "rule", "alert", "alert.rule.toml"]).unwrap();
    let emit = ["workflow", "emit", "shop", "sold-out", "--detail", r#"{"item": "helmet"}"#];
    stage.groundcrew(&emit).unwrap();
    let first = asked.recv().unwrap();
    assert_eq!(first.line.trim(), "POST /alerts HTTP/1.1");
    assert_eq!(first.body, r#"{"item":"helmet"}"#);
    let letter = loop {
        let letters = stage.json(&["workflow", "dead-letters"]).unwrap();
        if let Some(id) = letters[0]["id"].as_str() {
            assert_eq!(letters[0]["source"], "rule/alert");
            break id.to_owned();
        }
    };
    // The second call is refused as well, and kept again; the third is taken.
    stage.groundcrew(&["workflow", "deliver", &letter]).unwrap();
    let second = asked.recv().unwrap();
    let letter = loop {
        let letters = stage.json(&["workflow", "dead-letters"]).unwrap();
        match letters[0]["id"].as_str() {
            Some(id) if id != letter => break id.to_owned(),
            _ => {}
        }
    };
    stage.groundcrew(&["workflow", "deliver", &letter]).unwrap();
    let third = asked.recv().unwrap();
    let delivery = |asked: &Asked| {
        let mut lines = asked.headers.lines();
        lines.find(|line| line.starts_with("x-groundcrew-delivery: ")).unwrap().to_owned()
    };
    assert_eq!(delivery(&first), delivery(&second));
    assert_eq!(delivery(&first), delivery(&third));
    while stage.json(&["workflow", "dead-letters"]).unwrap() != json!([]) {}
}

#[test]
fn a_server_does_not_start_with_a_function_or_a_connection_that_cannot_work() {
    for (file, why) in [
        ("[functions.f]\ncommand = [\"a\"]\nurl = \"http://a\"\n", "either a `command` or a `url`"),
        ("[functions.f]\ncommand = []\n", "`command` is empty"),
        ("[functions.f]\ncommand = [\"a\"]\nconcurrency = 1001\n", "the maximum of 1000"),
        ("[functions.f]\ncommand = [\"a\"]\ntimeout_seconds = 0\n", "the minimum of 1"),
        ("[connections.c]\nurl = \"http://me:secret@a\"\n", "name it by reference"),
        ("[connections.c]\nurl = \"ftp://a\"\n", "is no http:// or https:// address"),
    ] {
        let stage = Stage::empty().unwrap();
        stage.write("server.toml", &format!("listen = \"127.0.0.1:0\"\n{file}")).unwrap();
        let error = stage.groundcrew(&["up"]).unwrap_err().to_string();
        let place = ["[f", "[c", "server.toml:4"].iter().any(|place| error.contains(place));
        assert!(error.contains(why) && place, "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
