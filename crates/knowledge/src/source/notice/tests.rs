use release::Secret;
use serde_json::json;
use store::{Bucket, S3Options};

use super::*;
use crate::source::tests::offer;

fn change(key: &str) -> ObjectChange {
    ObjectChange { bucket: "team-docs".to_owned(), key: key.to_owned() }
}

#[test]
fn notices_of_s3_are_read_whichever_way_they_come() {
    let plain = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "team-docs"}, "object": {"key": "a+b/caf%C3%A9.md"}},
    }]});
    let expected = vec![change("a b/café.md")];
    assert_eq!(ObjectChange::read(&plain).unwrap(), expected);
    let sns = json!({"Type": "Notification", "Message": plain.to_string()});
    assert_eq!(ObjectChange::read(&sns).unwrap(), expected);
    let bridge = json!({
        "source": "aws.s3", "detail-type": "Object Deleted",
        "detail": {"bucket": {"name": "team-docs"}, "object": {"key": "a b/café.md"}},
    });
    assert_eq!(ObjectChange::read(&bridge).unwrap(), expected);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "team-docs"});
    assert_eq!(ObjectChange::read(&test).unwrap(), []);
}

#[test]
fn what_is_no_notice_is_refused_and_nothing_it_names_is_called() {
    let nested = json!({"Type": "Notification", "Message": "{\"Type\": \"Notification\"}"});
    for (notice, why) in [
        (json!({}), "no `Records`"),
        (json!([]), "no `Records`"),
        (json!({"Records": [{"s3": {}}]}), "names no bucket"),
        (json!({"Type": "Notification", "Message": "{"}), "no JSON"),
        (nested, "within another"),
        (json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "http://x"}), "SubscribeURL"),
    ] {
        let told = ObjectChange::read(&notice).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_change_concerns_the_sources_that_read_the_object() {
    let options = S3Options {
        endpoint: None,
        bucket: "team-docs".to_owned(),
        region: "us-east-1".to_owned(),
        prefix: "shared".to_owned(),
        access_key_id: "test".to_owned(),
        secret_access_key: Secret::new("test"),
    };
    let bucket = OfferedBucket::S3(Box::new(Bucket::s3(&options).unwrap()));
    let offered = Offered { buckets: offer(bucket), ..Offered::default() };
    let source = json!({"kind": "bucket", "bucket": "it", "path": "docs"});
    let source: SourceSpec = serde_json::from_value(source).unwrap();
    let concerns = |change: ObjectChange, tenant: &str| {
        change.concerns(&source, &offered, &tenant.parse().unwrap())
    };
    assert!(concerns(change("shared/docs/a/b.md"), "default"));
    for other in ["docs/a.md", "shared/docs.md", "shared/docs2/a.md", "shared/docs/a.bin"] {
        assert!(!concerns(change(other), "default"), "{other}");
    }
    assert!(!concerns(change("shared/docs/a.md"), "other"));
    let elsewhere = ObjectChange { bucket: "other".to_owned(), ..change("shared/docs/a.md") };
    assert!(!concerns(elsewhere, "default"));
}
