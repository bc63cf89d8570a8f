//! The same product on the engines that users grow into.

use e2e::{Stage, variable};

fn secret(directory: &std::path::Path, name: &str, text: &str) -> String {
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    format!("file:{}", file.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_runs_on_postgres_and_s3() {
    let (postgres, s3) =
        (variable("GROUNDCREW_TEST_POSTGRES").unwrap(), variable("GROUNDCREW_TEST_S3").unwrap());
    let secrets = tempfile::tempdir().unwrap();
    // A bucket of its own; the database is the server's default one, which no other test uses.
    drop(Stage::empty().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let bucket = format!("product-{}", std::process::id());
    let made = client.put(format!("{s3}/{bucket}")).send().await.unwrap();
    assert!(made.status().is_success());
    let url = secret(secrets.path(), "url", &postgres);
    let key = secret(secrets.path(), "key", "test");
    let engines = format!(
        "[store]\nkind = \"postgres\"\nurl = \"{url}\"\n[blobs]\nkind = \"s3\"\n\
         endpoint = \"{s3}\"\nbucket = \"{bucket}\"\nregion = \"us-east-1\"\n\
         access_key_id = \"{key}\"\nsecret_access_key = \"{key}\"\n"
    );
    let mut stage = Stage::support_desk_with(&engines).unwrap();
    let ask = ["ask", "support", "How many days do I have to return a helmet?"];
    let before = stage.groundcrew(&ask).unwrap();
    assert!(before.contains("30 days from delivery"), "{before}");
    stage.kill().unwrap();
    stage.start().unwrap();
    assert!(stage.groundcrew(&ask).unwrap().contains("30 days from delivery"));
    assert!(!stage.path().join(".groundcrew/blobs").exists());
}
