//! Other doors to workflows than the command line: EventBridge's APIs, links, pictures.

use e2e::Stage;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const ASKS: &str = r#"{"StartAt": "Release it?", "States": {"Release it?": {"Type": "Task",
    "Resource": "arn:aws:states:local:000000000000:activity:groundcrew.approval",
    "TimeoutSeconds": 3600, "End": true, "Parameters": {"message": "Let <b>it</b> out?",
    "approvers": ["role:operator", "user:olga"], "evidence": {"score": "<script>0.93</script>"}}}}}"#;

fn stage() -> Stage {
    let mut stage = Stage::empty().unwrap();
    stage.write("server.toml", "listen = \"127.0.0.1:0\"\n").unwrap();
    stage.start().unwrap();
    stage
}

#[test]
fn boto3_keeps_rules_and_schedules() {
    let stage = stage();
    let made = stage.json(&["key", "create", "user:admin", "--aws"]).unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    stage.script("eventbridge.py", &[id, secret]).unwrap();
}

/// Makes a user and gives its key.
fn user(stage: &Stage, name: &str, role: &str) -> Value {
    let principal = format!("user:{name}");
    stage.groundcrew(&["user", "create", &principal, "--role", role]).unwrap();
    stage.json(&["key", "create", &principal]).unwrap()
}

fn start(stage: &Stage, name: &str) -> String {
    stage.groundcrew(&["workflow", "start", "release", "--name", name]).unwrap();
    format!("release/{name}")
}

async fn text(response: reqwest::Response) -> (StatusCode, String) {
    (response.status(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_decides_by_a_link_that_nobody_can_forge_change_or_use_twice() {
    let mut stage = stage();
    stage.write("release.asl.json", ASKS).unwrap();
    stage.groundcrew(&["workflow", "define", "release", "release.asl.json"]).unwrap();
    let ada = user(&stage, "ada", "admin")["key"].as_str().unwrap().to_owned();
    let bob = user(&stage, "bob", "operator");
    let bobs = bob["key"].as_str().unwrap().to_owned();
    user(&stage, "vera", "viewer");
    let one = start(&stage, "one");
    let link = ["workflow", "approval-link", &one, "--for"];
    let asked = |key: &str, more: &[&str]| stage.groundcrew_as(key, &[&link[..], more].concat());
    // Who asked has no link made; only who may decide is named, and only by an administrator.
    let own = stage.groundcrew(&[&link[..], &["user:bob"]].concat()).unwrap_err().to_string();
    assert!(own.contains("may not have a link"), "{own}");
    for (key, principal, why) in [
        (&ada, "user:admin", "there is no principal"),
        (&ada, "user:vera", "is not among"),
        (&ada, "user:nobody", "there is no principal"),
        (&bobs, "user:ada", "may not ManageKeys"),
    ] {
        let refused = asked(key, &[principal]).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let far = asked(&ada, &["user:bob", "--expires", "60d"]).unwrap_err().to_string();
    assert!(far.contains("`expires_seconds` is 1 to 2592000"), "{far}");
    let made: Value = serde_json::from_str(&asked(&ada, &["user:bob", "--json"]).unwrap()).unwrap();
    let url = made["url"].as_str().unwrap().to_owned();

    let http = Client::builder().no_proxy().build().unwrap();
    let page = http.get(&url).send().await.unwrap();
    let headers = page.headers().clone();
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(headers[name], value);
    }
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"));
    let (status, page) = text(page).await;
    assert_eq!(status, StatusCode::OK);
    for shown in ["Let &lt;b&gt;it&lt;/b&gt; out?", "&lt;script&gt;", "user:admin", "user:bob"] {
        assert!(page.contains(shown), "{page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let status = |execution: &str| {
        let shown = stage.json(&["workflow", "show", execution]).unwrap();
        (shown["status"].as_str().unwrap().to_owned(), shown)
    };
    assert_eq!(status(&one).0, "RUNNING", "looking decides nothing");

    let post = |url: &str, form: &'static str, site: Option<&'static str>| {
        let request = http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let site = site.into_iter();
        site.fold(request, |request, site| request.header("sec-fetch-site", site)).body(form).send()
    };
    let (base, signed) = url.rsplit_once('/').unwrap();
    let (statement, tag) = signed.split_once('.').unwrap();
    let other = start(&stage, "two");
    let link_of_two = ["workflow", "approval-link", &other, "--for", "user:bob", "--json"];
    let two: Value =
        serde_json::from_str(&stage.groundcrew_as(&ada, &link_of_two).unwrap()).unwrap();
    let two = two["url"].as_str().unwrap();
    let others = two.rsplit_once('/').unwrap().1.split_once('.').unwrap().0;
    for forged in [
        format!("{base}/{others}.{tag}"),
        format!("{base}/{statement}"),
        format!("{base}/{statement}.{}A", &tag[1..]),
        format!("{base}/x"),
    ] {
        let (refused, page) = text(post(&forged, "decision=approve", None).await.unwrap()).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{page}");
        assert!(page.contains("does not count"), "{page}");
    }
    let elsewhere = post(&url, "decision=approve", Some("cross-site")).await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    let neither = post(&url, "decision=", None).await.unwrap();
    assert_eq!(neither.status(), StatusCode::BAD_REQUEST);
    assert_eq!(status(&one).0, "RUNNING");

    let form = "decision=approve&comment=I+read+it";
    let (done, page) = text(post(&url, form, Some("same-origin")).await.unwrap()).await;
    assert_eq!(done, StatusCode::OK, "{page}");
    assert!(page.contains("It is approved"), "{page}");
    let (ended, shown) = status(&one);
    assert_eq!(ended, "SUCCEEDED", "{shown:#}");
    let output = &shown["output"];
    let told = (&output["by"], &output["reason"], &output["link"]["issued_by"]);
    assert_eq!(told, (&json!("user:bob"), &json!("I read it"), &json!("user:ada")));
    for again in [post(&url, form, None).await.unwrap(), http.get(&url).send().await.unwrap()] {
        assert_eq!(again.status(), StatusCode::GONE);
    }

    // A link outlives a restart, but not its principal's keys, nor its time.
    stage.kill().unwrap();
    let before = stage.url.clone();
    stage.start().unwrap();
    let two = two.replace(&before, &stage.url);
    assert_eq!(http.get(&two).send().await.unwrap().status(), StatusCode::OK);
    let short = ["user:bob", "--expires", "1s", "--json"];
    let short = [&link_of_two[..4], &short[..]].concat();
    let short: Value = serde_json::from_str(&stage.groundcrew_as(&ada, &short).unwrap()).unwrap();
    let short = short["url"].as_str().unwrap();
    while http.get(short).send().await.unwrap().status() == StatusCode::OK {}
    let (expired, page) = text(http.get(short).send().await.unwrap()).await;
    assert!(expired == StatusCode::GONE && page.contains("has expired"), "{page}");
    stage.groundcrew(&["key", "revoke", bob["id"].as_str().unwrap()]).unwrap();
    let (shut_out, page) = text(post(&two, form, None).await.unwrap()).await;
    assert_eq!(shut_out, StatusCode::FORBIDDEN, "{page}");
    assert!(page.contains("any more"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_drawn_for_the_terminal_and_as_a_picture() {
    let stage = stage();
    stage.write("release.asl.json", ASKS).unwrap();
    stage.groundcrew(&["workflow", "define", "release", "release.asl.json"]).unwrap();
    let defined = stage.groundcrew(&["workflow", "show", "release"]).unwrap();
    assert!(defined.contains("○ Release it?  Task · groundcrew.approval"), "{defined}");
    let one = start(&stage, "one");
    let drawn = stage.groundcrew(&["workflow", "show", &one]).unwrap();
    assert!(drawn.contains("◷ Release it?") && drawn.contains("waiting"), "{drawn}");
    assert!(!drawn.contains('\u{1b}'), "{drawn}");
    stage.groundcrew(&["workflow", "show", &one, "--svg", "one.svg"]).unwrap();
    let written = std::fs::read_to_string(stage.path().join("one.svg")).unwrap();
    assert!(written.starts_with("<svg") && written.contains("class=\"waiting\""), "{written}");
    let path = "/api/v1/workflows/release/executions/one/graph";
    let picture = stage.get(&format!("{path}?format=svg")).await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/svg+xml");
    let graph: Value =
        serde_json::from_str(&stage.get(path).await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(graph["flow"]["nodes"][0]["standing"], "waiting", "{graph:#}");
    let unknown = stage.groundcrew(&["workflow", "show", "none"]).unwrap_err().to_string();
    assert!(unknown.contains("GC0404"), "{unknown}");
}
