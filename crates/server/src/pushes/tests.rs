use axum::http::HeaderValue;

use super::*;

const COMMIT: &str = "8b137891791fe96927ad78e64b0aad7bded08bdc";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter();
    let pairs = pairs
        .map(|(name, value)| ((*name).try_into().unwrap(), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

fn body(after: &str) -> Vec<u8> {
    json!({"ref": "refs/heads/main", "before": COMMIT, "after": after}).to_string().into_bytes()
}

#[test]
fn each_forge_proves_itself_in_its_own_way() {
    // The example of GitHub's documentation.
    let secret = Secret::new("It's a Secret to Everybody");
    let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let proves = |forge: Forge, pairs: &[(&'static str, &str)], body: &[u8]| {
        forge.proves(&secret, &headers(pairs), body)
    };
    let (hub, text) = (format!("sha256={hex}"), b"Hello, World!");
    assert!(proves(Forge::Github, &[("x-hub-signature-256", &hub)], text));
    assert!(!proves(Forge::Github, &[("x-hub-signature-256", hex)], text));
    assert!(!proves(Forge::Github, &[("x-hub-signature-256", &hub)], b"Hello, World?"));
    assert!(!proves(Forge::Github, &[("x-gitea-signature", hex)], text));
    assert!(!proves(Forge::Github, &[], text));
    assert!(proves(Forge::Generic, &[("x-gitea-signature", hex)], text));
    assert!(proves(Forge::Generic, &[("x-hub-signature-256", &hub)], text));
    assert!(!proves(Forge::Generic, &[("x-gitea-signature", &hex[2..])], text));
    assert!(proves(Forge::Gitlab, &[("x-gitlab-token", "It's a Secret to Everybody")], text));
    assert!(!proves(Forge::Gitlab, &[("x-gitlab-token", "It's a Secret to Nobody")], text));
    assert!(!proves(Forge::Gitlab, &[("x-hub-signature-256", &hub)], text));
}

#[test]
fn only_a_push_of_a_commit_is_one() {
    let told =
        |event: &str, body: &[u8]| Forge::Github.read(&headers(&[("x-github-event", event)]), body);
    let Ok(Told::Push(push)) = told("push", &body(COMMIT)) else { panic!("no push") };
    assert_eq!((&*push.reference, &*push.after), ("refs/heads/main", COMMIT));
    assert_eq!(told("ping", b"{}"), Ok(Told::Other));
    assert_eq!(told("push", &body(&"0".repeat(40))), Ok(Told::Gone));
    for wrong in ["-x", "HEAD", "8B137891791FE96927AD78E64B0AAD7BDED08BDC", &COMMIT[1..]] {
        assert!(told("push", &body(wrong)).is_err(), "{wrong}");
    }
    assert!(told("push", b"payload=%7B%7D").unwrap_err().contains("application/json"));
    let gitlab = headers(&[("x-gitlab-event", "Tag Push Hook")]);
    assert_eq!(Forge::Gitlab.read(&gitlab, &body(COMMIT)), Ok(Told::Other));
    assert!(matches!(Forge::Generic.read(&HeaderMap::new(), &body(COMMIT)), Ok(Told::Push(_))));
}
