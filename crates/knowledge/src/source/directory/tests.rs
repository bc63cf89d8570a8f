use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::source::tests::{all, fresh, marks};

fn files(root: &Path) -> Files {
    Files::new(
        root.to_owned(),
        Wanted::new(&["**/*.md".to_owned()], &["old/**".to_owned()]).unwrap(),
    )
}

#[tokio::test]
async fn only_what_changed_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("b")).unwrap();
    fs::write(home.path().join("a.md"), "a").unwrap();
    fs::write(home.path().join("b/c.md"), "c").unwrap();
    let source = files(home.path());
    let first = all(&source, &BTreeMap::new()).await.unwrap();
    assert_eq!(fresh(&first), ["a.md", "b/c.md"]);
    let before = marks(&first);
    assert_eq!(fresh(&all(&source, &before).await.unwrap()), Vec::<&str>::new());
    // The same length, and another file put in its place.
    fs::write(home.path().join("new"), "x").unwrap();
    fs::rename(home.path().join("new"), home.path().join("a.md")).unwrap();
    fs::remove_file(home.path().join("b/c.md")).unwrap();
    let third = all(&source, &before).await.unwrap();
    assert_eq!((fresh(&third), third.len()), (vec!["a.md"], 1));
}

#[tokio::test]
async fn links_pipes_and_what_is_left_out_are_not_read() {
    let home = tempfile::tempdir().unwrap();
    let (inside, secret) = (home.path().join("inside"), home.path().join("secret.md"));
    fs::create_dir_all(inside.join("old")).unwrap();
    fs::write(&secret, "secret").unwrap();
    fs::write(inside.join("old/a.md"), "old").unwrap();
    fs::write(inside.join("a.bin"), "binary").unwrap();
    symlink(&secret, inside.join("link.md")).unwrap();
    symlink(home.path(), inside.join("folder.md")).unwrap();
    let pipe = inside.join("pipe.md");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert!(all(&files(&inside), &BTreeMap::new()).await.unwrap().is_empty());
}

#[test]
fn what_changed_or_vanished_since_it_was_listed_is_told_as_failed() {
    let home = tempfile::tempdir().unwrap();
    for name in ["gone.md", "longer.md", "link.md"] {
        fs::write(home.path().join(name), "text").unwrap();
    }
    let listed = files(home.path()).list().unwrap();
    fs::remove_file(home.path().join("gone.md")).unwrap();
    fs::write(home.path().join("longer.md"), "longer text").unwrap();
    fs::remove_file(home.path().join("link.md")).unwrap();
    symlink("/etc/passwd", home.path().join("link.md")).unwrap();
    for found in listed {
        let told = document(&found.path, &found.file, &found.metadata.unwrap());
        assert!(told.is_err(), "{}", found.path);
    }
}

#[tokio::test]
async fn names_that_are_no_text_are_told_as_failed() {
    let home = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
    fs::write(home.path().join(name), "text").unwrap();
    let told = all(&files(home.path()), &BTreeMap::new()).await.unwrap();
    assert!(matches!(&told[..], [Seen::Failed { reason, .. }] if reason.contains("UTF-8")));
}

#[tokio::test]
async fn a_directory_that_vanishes_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let source = files(&home.path().join("docs"));
    assert!(matches!(
        all(&source, &BTreeMap::new()).await.unwrap_err(),
        KnowledgeError::Listing { .. }
    ));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_told_as_failed() {
    let home = tempfile::tempdir().unwrap();
    let file = File::create(home.path().join("large.md")).unwrap();
    file.set_len(MAX_DOCUMENT + 1).unwrap();
    let told = all(&files(home.path()), &BTreeMap::new()).await.unwrap();
    assert!(matches!(&told[..], [Seen::Failed { reason, .. }] if reason.contains("allowed")));
}
