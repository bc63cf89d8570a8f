//! Signatures of others are accepted as they are, and of nothing else.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use proptest::prelude::*;
use release::{PrincipalId, Secret};

use crate::{KeyId, Role};

use super::*;

/// A request as text: a line with method and target, then headers, an empty line and the body.
/// `None` if it is not one of HTTP.
fn parse(text: &[u8]) -> Option<(Parts, Vec<u8>)> {
    let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or(text.len());
    let (head, body) = text.split_at_checked(end)?;
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.next()?;
    let space = line.iter().position(|&byte| byte == b' ')?;
    let (method, target) = (&line[..space], &line[space + 1..]);
    if !target.starts_with(b"/") {
        return None;
    }
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method).ok()?;
    parts.uri = Uri::from(PathAndQuery::try_from(target).ok()?);
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        parts.headers.append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some((parts, body.get(2..).unwrap_or_default().to_vec()))
}

struct Client {
    id: &'static str,
    secret: &'static str,
    now: &'static str,
}

impl Client {
    fn verify(&self, parts: &Parts, body: &[u8]) -> Result<Signed, SignatureError> {
        verify(parts, body, self.now.parse().unwrap(), |id| {
            if id != self.id {
                return Err(Invalid);
            }
            let identity = Arc::new(Identity {
                principal: PrincipalId::user("ada").unwrap(),
                tenant: None,
                role: Role::Admin,
                key: KeyId::for_test(id),
            });
            Ok(AccessKey { identity, secret: Secret::new(self.secret) })
        })
    }

    fn verify_text(&self, text: &str) -> Result<Signed, SignatureError> {
        let (parts, body) = parse(text.as_bytes()).unwrap();
        self.verify(&parts, &body)
    }

    fn error(&self, text: &str) -> (&'static str, String) {
        let error = self.verify_text(text).unwrap_err();
        (error.code(), error.to_string())
    }
}

/// The credentials of AWS's test vectors.
const VECTORS: Client = Client {
    id: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    now: "2015-08-30T12:36:00Z",
};
const BOTO: Client = Client {
    id: "GCAKEXAMPLEEXAMPLE22",
    secret: "k0-ThisIsNoSecretItIsAnExampleOfOne_4567",
    now: "2026-11-26T09:30:00Z",
};

/// A request of AWS's test suite: first line, headers beside host and date, signature, body.
fn vector(line: &str, headers: &[&str], signature: &str, body: &str) -> String {
    let mut names: Vec<String> =
        headers.iter().map(|h| h.split_once(':').unwrap().0.to_lowercase()).collect();
    names.extend(["host".to_owned(), "x-amz-date".to_owned()]);
    names.sort();
    names.dedup();
    let headers: String = headers.iter().map(|header| format!("{header}\n")).collect();
    format!(
        "{line}\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n{headers}Authorization: \
         AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders={}, Signature={signature}\n\n{body}",
        names.join(";")
    )
}

fn vanilla() -> String {
    vector("GET /", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "")
}

#[test]
fn the_published_test_vectors_are_accepted() {
    let form = "Content-Type:application/x-www-form-urlencoded";
    let cases: [(&str, &[&str], &str, &str); 13] = [
        ("GET /", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", ""),
        ("POST /", &[], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", ""),
        (
            "GET /?Param2=value2&Param1=value1",
            &[],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            "",
        ),
        (
            "GET /?Param1=value1",
            &[],
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
            "",
        ),
        (
            "GET /",
            &["My-Header1: value1", "My-Header2: \"a   b   c\" "],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            "",
        ),
        (
            "GET /",
            &["My-Header1:value2", "My-Header1:value2", "My-Header1:value1"],
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            "",
        ),
        (
            "GET /",
            &["My-Header1:value4", "My-Header1:value1", "My-Header1:value3", "My-Header1:value2"],
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
            "",
        ),
        ("GET //", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", ""),
        (
            "GET /example/..",
            &[],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            "",
        ),
        (
            "GET //example//",
            &[],
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            "",
        ),
        (
            "GET /./example",
            &[],
            "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
            "",
        ),
        ("GET /ሴ", &[], "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", ""),
        (
            "POST /",
            &[form],
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            "Param1=value1",
        ),
    ];
    for (line, headers, signature, body) in cases {
        let signed = VECTORS.verify_text(&vector(line, headers, signature, body));
        assert_eq!(signed.map(|signed| signed.region), Ok("us-east-1".to_owned()), "{line}");
    }
}

#[test]
fn the_example_of_the_documentation_is_accepted() {
    let signed = VECTORS.verify_text(
        "GET /?Action=ListUsers&Version=2010-05-08\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\n\
         Host: iam.amazonaws.com\n\
         X-Amz-Date: 20150830T123600Z\n\
         Authorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    );
    assert_eq!(signed.unwrap().service.as_str(), "iam");
}

/// Signed by boto3 1.44.8, as are those below.
const START_EXECUTION: &str = r#"POST /
Host: 127.0.0.1:8080
X-Amz-Target: AWSStepFunctions.StartExecution
Content-Type: application/x-amz-json-1.0
X-Amz-Date: 20261126T093000Z
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/states/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=04d49f00caeaf4b3b5549e4f9e238dcdcb8e97eb123ed1c2c306ee33ebff4c03
User-Agent: Boto3/1.44.8

{"stateMachineArn": "arn:aws:states:eu-west-1:000000000000:stateMachine:refresh", "name": "n", "input": "{\"a\": \"\u00fc\"}"}"#;

const PUT_EVENTS: &str = r#"POST /
Host: 127.0.0.1:8080
X-Amz-Target: AWSEvents.PutEvents
Content-Type: application/x-amz-json-1.1
X-Amz-Date: 20261126T093000Z
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/events/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=020b472a48f511141f7b0a8a7705d478b4c12aa333fe62453b1d97c0fa35fb79

{"Entries": [{"Source": "shop", "DetailType": "order", "Detail": "{}"}]}"#;

const GET_SCHEDULE: &str = "GET /schedules/nightly%20report~1?groupName=default
Host: 127.0.0.1:8080
X-Amz-Date: 20261126T093000Z
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/scheduler/aws4_request, SignedHeaders=host;x-amz-date, Signature=91586c5560766da234cf5d1720a613f802de8f4b87a43515a967e2294961a5f2";

const LIST_TAGS: &str = "GET /tags/arn%3Aaws%3Ascheduler%3Aeu-west-1%3A000000000000%3Aschedule%2Fdefault%2Fnightly
Host: 127.0.0.1:8080
X-Amz-Date: 20261126T093000Z
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/scheduler/aws4_request, SignedHeaders=host;x-amz-date, Signature=1448b9940281bb4c7954132a7e348f806b9d8e276ae84bf8a5f6c98f302fdfaa";

const LIST_SCHEDULES: &str = "GET /schedules?NamePrefix=a%2Bb%20c&State=ENABLED&MaxResults=5
Host: 127.0.0.1:8080
X-Amz-Date: 20261126T093000Z
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/scheduler/aws4_request, SignedHeaders=host;x-amz-date, Signature=099ae761800022e4687b54235fba782bee62aaf7df2e1cca06c7b958b49d3287";

const PUT_OBJECT: &str = "PUT /b/a%20b/c%2Bd.txt
Host: 127.0.0.1:8080
x-amz-checksum-crc32: jNwWgw==
x-amz-sdk-checksum-algorithm: CRC32
X-Amz-Date: 20261126T093000Z
X-Amz-Content-SHA256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
Authorization: AWS4-HMAC-SHA256 Credential=GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-sdk-checksum-algorithm, Signature=367c336c4a4753ad3f561c801364c2c9b8b705194d7ee0cf7d80e5abb4521347

x";

#[test]
fn what_boto3_signs_is_accepted() {
    let cases = [
        (START_EXECUTION, "states"),
        (PUT_EVENTS, "events"),
        (GET_SCHEDULE, "scheduler"),
        (LIST_TAGS, "scheduler"),
        (LIST_SCHEDULES, "scheduler"),
        (PUT_OBJECT, "s3"),
    ];
    for (text, service) in cases {
        let signed = BOTO.verify_text(text).unwrap_or_else(|error| panic!("{service}: {error}"));
        assert_eq!((signed.service.as_str(), signed.region.as_str()), (service, "eu-west-1"));
        assert_eq!(signed.identity.key.as_str(), BOTO.id);
    }
}

#[test]
fn http_2_has_the_host_in_its_uri() {
    let (mut parts, body) = parse(START_EXECUTION.as_bytes()).unwrap();
    parts.headers.remove("host");
    assert_eq!(BOTO.verify(&parts, &body), Err(SignatureError::Absent("host".to_owned())));
    parts.version = Version::HTTP_2;
    parts.uri = Uri::from_static("http://127.0.0.1:8080/");
    assert!(BOTO.verify(&parts, &body).is_ok());
    parts.uri = Uri::from_static("http://127.0.0.1:8081/");
    assert_eq!(BOTO.verify(&parts, &body), Err(SignatureError::Mismatch));
}

/// Where `part` is in `text`.
fn span(text: &str, part: &str) -> std::ops::Range<usize> {
    let start = text.find(part).unwrap();
    start..start + part.len()
}

#[test]
fn any_one_bit_that_differs_is_refused() {
    let body = START_EXECUTION.split_once("\n\n").unwrap().1;
    let signature = START_EXECUTION.split_once("Signature=").unwrap().1.get(..64).unwrap();
    let cases = [
        (START_EXECUTION, "POST"),
        (START_EXECUTION, "127.0.0.1:8080"),
        (START_EXECUTION, "AWSStepFunctions.StartExecution"),
        (START_EXECUTION, "application/x-amz-json-1.0"),
        (START_EXECUTION, "20261126T093000Z"),
        (START_EXECUTION, "AWS4-HMAC-SHA256"),
        (START_EXECUTION, "GCAKEXAMPLEEXAMPLE22/20261126/eu-west-1/states/aws4_request"),
        (START_EXECUTION, "content-type;host;x-amz-date;x-amz-target"),
        (START_EXECUTION, signature),
        (START_EXECUTION, body),
        (GET_SCHEDULE, "/schedules/nightly%20report~1?groupName=default"),
        (PUT_OBJECT, "/b/"),
        (PUT_OBJECT, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
    ];
    for (text, part) in cases {
        for at in span(text, part) {
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let accepted = parse(&bytes).is_some_and(|(p, b)| BOTO.verify(&p, &b).is_ok());
                assert!(!accepted, "{part}: byte {at} as {:?}", char::from(bytes[at]));
            }
        }
    }
}

#[test]
fn the_clock_may_differ_by_five_minutes_and_the_servers_time_is_told() {
    let at = |now| Client { now, ..VECTORS };
    for now in ["2015-08-30T12:31:00Z", "2015-08-30T12:41:00Z"] {
        assert!(at(now).verify_text(&vanilla()).is_ok(), "{now}");
    }
    assert_eq!(
        at("2015-08-30T12:41:01Z").error(&vanilla()),
        (
            "InvalidSignatureException",
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
             (20150830T124101Z - 5 min.)"
                .to_owned()
        )
    );
    assert_eq!(
        at("2015-08-30T12:30:59Z").error(&vanilla()),
        (
            "InvalidSignatureException",
            "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
             (20150830T123059Z + 5 min.)"
                .to_owned()
        )
    );
}

#[test]
fn the_date_header_serves_in_place_of_amazons() {
    let date = |date: &str| vanilla().replace("X-Amz-Date:20150830T123600Z", date);
    // The form is understood: only the signature, which covers another header, is wrong.
    for good in ["Date: Sun, 30 Aug 2015 12:36:00 GMT", "Date: 20150830T123600Z"] {
        let text = date(good).replace("host;x-amz-date", "date;host");
        assert_eq!(VECTORS.verify_text(&text), Err(SignatureError::Mismatch), "{good}");
    }
    for bad in ["X-Amz-Date: Sun, 30 Aug 2015 12:36:00 GMT", "X-Amz-Date: 2015-08-30T12:36:00Z"] {
        let (code, message) = VECTORS.error(&date(bad));
        assert_eq!(code, "IncompleteSignatureException", "{bad}");
        assert!(message.starts_with("Date must be in ISO-8601"), "{message}");
    }
    let (code, message) = VECTORS.error(&date("Accept: */*"));
    assert_eq!(code, "IncompleteSignatureException");
    assert!(message.ends_with("'X-Amz-Date' or a 'Date' header."), "{message}");
}

#[test]
fn each_refusal_has_its_code_and_says_what_is_wrong() {
    let start = START_EXECUTION;
    let without = |line: &str| {
        let lines = start.lines().filter(|l| !l.starts_with(line)).collect::<Vec<_>>();
        lines.join("\n")
    };
    let with = |header: &str| start.replacen('\n', &format!("\n{header}\n"), 1);
    let long = format!("Authorization: AWS4-HMAC-SHA256 {}", "x".repeat(4096));
    let cases = [
        ("no header", without("Authorization")),
        ("two headers", with("Authorization: gc_1.2")),
        ("another scheme", start.replace("AWS4-HMAC-SHA256", "Bearer")),
        ("too long", without("Authorization").replacen('\n', &format!("\n{long}\n"), 1)),
        ("no credential", start.replace("Credential=", "Certificate=")),
        ("no pair", start.replace("Signature=", "Signature")),
        ("a part twice", start.replace("SignedHeaders=", "Signature=")),
        (
            "a part left out",
            start.replace("SignedHeaders=content-type;host;x-amz-date;x-amz-target, ", ""),
        ),
        ("a short scope", start.replace("/states/", "/")),
        ("another terminator", start.replace("aws4_request", "aws3_request")),
        ("a region that is none", start.replace("eu-west-1/states", "a:b/states")),
        ("another day", start.replace("/20261126/", "/20261125/")),
        ("headers out of order", start.replace("content-type;host", "host;content-type")),
        ("headers in upper case", start.replace("content-type;host", "Content-Type;host")),
        ("host unsigned", start.replace("content-type;host;", "content-type;")),
        ("target unsigned", start.replace(";x-amz-target", "")),
        ("a header that is not there", start.replace("content-type;", "content-type;expect;")),
        ("a session token", with("X-Amz-Security-Token: FQoGZXIvYXdzEBYaD")),
        ("an unsigned body", with("X-Amz-Content-Sha256: UNSIGNED-PAYLOAD")),
        ("a chunked body", with("X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
        ("another body", with("X-Amz-Content-Sha256: e3b0c44298fc1c149afbf4c8996fb924")),
        ("an unknown key", start.replace("GCAKEXAMPLE", "GCAKEXAMPLF")),
        ("another signature", start.replace("Signature=0", "Signature=1")),
    ];
    let shown: Vec<String> = cases
        .into_iter()
        .map(|(name, text)| {
            let (code, message) = BOTO.error(&text);
            format!("{name}: {code}\n    {message}")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn signed_headers_must_be_text_and_have_a_bound() {
    let (mut parts, body) = parse(START_EXECUTION.as_bytes()).unwrap();
    for bytes in [vec![0xff], vec![b'x'; 64 << 10]] {
        parts.headers.insert("content-type", HeaderValue::from_bytes(&bytes).unwrap());
        let error = BOTO.verify(&parts, &body).unwrap_err();
        assert_eq!(error.code(), "IncompleteSignatureException", "{error}");
    }
}

#[test]
fn what_is_presented_is_not_repeated() {
    for secret in ["gc_0123456789ab.secret", "AWS4-HMAC-SHA256 Credential=secret", "secret,=secret"]
    {
        let (_, message) = VECTORS.error(&format!("GET /\nAuthorization: {secret}"));
        assert!(!message.contains("secret"), "{message}");
    }
}

proptest! {
    #[test]
    fn any_header_is_answered(text in "[ -~]{0,200}", parameters in "(Credential=|SignedHeaders=|Signature=|[a-z/;,= ]){0,20}") {
        for value in [text, format!("{ALGORITHM} {parameters}")] {
            let text = format!("GET /\nX-Amz-Date: 20150830T123600Z\nAuthorization: {value}");
            prop_assert!(VECTORS.verify_text(&text).is_err());
        }
    }
}
