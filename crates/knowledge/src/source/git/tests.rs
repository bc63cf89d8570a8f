use serde_json::{Value, json};
use std::fs;

use super::*;
use crate::source::Directory;
use crate::source::tests::{all, documents, failures, fresh, marks, offer, opened};

/// A repository in an offered directory, made by the real command.
struct Fixture {
    home: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { home: tempfile::tempdir().unwrap() };
        fs::create_dir_all(fixture.repository()).unwrap();
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture
    }

    fn repository(&self) -> PathBuf {
        self.home.path().join("offered/project")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let ran = std::process::Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .current_dir(self.repository())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.repository().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits all there is, at this second.
    fn commit(&self, at: u64) -> String {
        self.git(&["add", "--all"]);
        let ran = std::process::Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(["commit", "--quiet", "--allow-empty", "--message=change"])
            .env("GIT_COMMITTER_DATE", format!("@{at} +0000"))
            .current_dir(self.repository())
            .status()
            .unwrap();
        assert!(ran.success());
        self.git(&["rev-parse", "HEAD"])
    }

    fn open(&self, more: Value) -> Result<Box<dyn Source>, KnowledgeError> {
        let mut source = json!({"kind": "git", "directory": "it", "repository_path": "project"});
        for (key, value) in more.as_object().unwrap() {
            source[key] = value.clone();
        }
        let offered = Offered {
            directories: offer(Directory(self.home.path().join("offered"))),
            cache: self.home.path().join("cache"),
            ..Offered::default()
        };
        opened(source, &offered)
    }

    async fn read(&self, more: Value, before: &BTreeMap<String, String>) -> Vec<Seen> {
        all(&*self.open(more).unwrap(), before).await.unwrap()
    }
}

#[tokio::test]
async fn files_come_with_their_commit_and_the_time_of_their_last_change() {
    let fixture = Fixture::new();
    fixture.write("docs/a b.md", "one");
    fixture.write("docs/café.md", "two");
    fixture.write("src/main.rs", "fn main() {}");
    fixture.commit(1_000);
    fixture.write("docs/a b.md", "more");
    let commit = fixture.commit(2_000);
    let nothing = BTreeMap::new();
    let first = fixture.read(json!({"path": "docs"}), &nothing).await;
    assert_eq!(fresh(&first), ["a b.md", "café.md"]);
    let read: Vec<_> = documents(&first).collect();
    assert_eq!((read[0].bytes.as_ref(), read[1].bytes.as_ref()), (&b"more"[..], &b"two"[..]));
    assert!(read.iter().all(|document| document.version.as_ref() == Some(&commit)));
    let times = read.iter().map(|document| document.modified_at.unwrap().as_second());
    assert_eq!(times.collect::<Vec<_>>(), [2_000, 1_000]);
    let whole = fixture.read(json!({"include": ["**/*.rs"]}), &nothing).await;
    assert_eq!(fresh(&whole), ["src/main.rs"]);
    // What is not committed is not there; what is removed is not told of.
    fixture.write("docs/new.md", "new");
    assert_eq!(fresh(&fixture.read(json!({"path": "docs"}), &marks(&first)).await).len(), 0);
    fs::remove_file(fixture.repository().join("docs/a b.md")).unwrap();
    fixture.commit(3_000);
    let second = fixture.read(json!({"path": "docs"}), &marks(&first)).await;
    assert_eq!((fresh(&second), second.len()), (vec!["new.md"], 2));
}

#[tokio::test]
async fn a_branch_a_tag_and_a_history_that_was_rewritten_are_read() {
    let fixture = Fixture::new();
    fixture.write("a.md", "main");
    fixture.commit(1_000);
    fixture.git(&["tag", "-a", "v1", "-m", "one"]);
    fixture.git(&["checkout", "--quiet", "-b", "next/big"]);
    fixture.write("a.md", "next");
    fixture.commit(2_000);
    let read = async |reference: &str| {
        let told = fixture.read(json!({"reference": reference}), &BTreeMap::new()).await;
        String::from_utf8(documents(&told).next().unwrap().bytes.to_vec()).unwrap()
    };
    assert_eq!(
        [read("v1").await, read("main").await, read("next/big").await],
        ["main", "main", "next"]
    );
    fixture.git(&["tag", "main", "next/big"]);
    assert_eq!(read("main").await, "main", "a branch goes before a tag of its name");
    fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    fixture.write("a.md", "rewritten");
    fixture.commit(1_500);
    assert_eq!(read("next/big").await, "rewritten");
    let missing = fixture.open(json!({"reference": "none"})).unwrap();
    let told = all(&*missing, &BTreeMap::new()).await.unwrap_err().to_string();
    assert!(told.contains("no branch or tag `none`"), "{told}");
}

#[tokio::test]
async fn links_and_submodules_are_left_out_and_nothing_of_the_repository_is_run() {
    let fixture = Fixture::new();
    fixture.write("a.md", "text");
    std::os::unix::fs::symlink("/etc/passwd", fixture.repository().join("link.md")).unwrap();
    let ran = fixture.home.path().join("ran");
    fixture.write(".gitattributes", "*.md filter=evil\n");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for hook in ["post-checkout", "reference-transaction", "post-update", "pre-receive"] {
        let path = fixture.repository().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
    }
    fixture.git(&["-c", "core.hooksPath=/dev/null", "add", "a.md", "link.md", ".gitattributes"]);
    fixture.git(&["-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--message=all"]);
    let evil = format!("touch {}", ran.display());
    for key in ["filter.evil.smudge", "uploadpack.packObjectsHook", "core.fsmonitor"] {
        fixture.git(&["config", key, &evil]);
    }
    let module = "160000,1111111111111111111111111111111111111111,module.md";
    fixture.git(&["-c", "core.fsmonitor=false", "update-index", "--add", "--cacheinfo", module]);
    let quiet = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
    fixture.git(&[&quiet[..], &["commit", "--quiet", "--message=module"]].concat());
    let _made_by_the_set_up = fs::remove_file(&ran);
    let told = fixture.read(json!({}), &BTreeMap::new()).await;
    assert_eq!((fresh(&told), told.len()), (vec!["a.md"], 1));
    assert!(!ran.exists(), "something of the repository was run");
}

#[tokio::test]
async fn a_file_that_is_too_large_is_told_as_failed() {
    let fixture = Fixture::new();
    fixture.write("large.md", &"x".repeat((16 << 20) + 1));
    fixture.commit(1_000);
    let told = fixture.read(json!({}), &BTreeMap::new()).await;
    assert!(failures(&told)["large.md"].contains("allowed"));
}

#[tokio::test]
async fn what_is_no_repository_or_keeps_its_objects_elsewhere_is_refused() {
    let fixture = Fixture::new();
    fixture.write("a.md", "text");
    fixture.commit(1_000);
    let refused = || fixture.open(json!({})).unwrap_err().to_string();
    let info = fixture.repository().join(".git/objects/info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("alternates"), "/somewhere/objects").unwrap();
    assert!(refused().contains("elsewhere"));
    fs::remove_file(info.join("alternates")).unwrap();
    assert!(fixture.open(json!({})).is_ok());
    fs::rename(fixture.repository().join(".git"), fixture.home.path().join("moved")).unwrap();
    assert!(refused().contains("no git repository"));
    fs::write(fixture.repository().join(".git"), "gitdir: ../../moved").unwrap();
    assert!(refused().contains("no folder"));
    assert!(fixture.open(json!({"repository_path": "../.."})).is_err());
}

#[tokio::test]
async fn a_repository_that_vanishes_is_an_error_and_a_half_made_mirror_is_mended() {
    let fixture = Fixture::new();
    fixture.write("a.md", "text");
    fixture.commit(1_000);
    let source = fixture.open(json!({})).unwrap();
    fs::create_dir_all(fixture.home.path().join("cache/git")).unwrap();
    assert_eq!(all(&*source, &BTreeMap::new()).await.unwrap().len(), 1);
    fs::remove_dir_all(fixture.repository()).unwrap();
    assert!(all(&*source, &BTreeMap::new()).await.is_err());
}

#[test]
fn a_reference_is_never_taken_for_something_else() {
    for fine in ["main", "release/1.2", "v1.0+2", "käse"] {
        assert!(valid(fine), "{fine}");
    }
    for wrong in
        ["", "-x", "--upload-pack=x", "a b", "a..b", "a:b", "+a", "a^", "a~1", "@{u}", "a\n"]
    {
        assert!(!valid(wrong), "{wrong}");
    }
}

/// A branch of the fixture's repository, and its folder.
fn branch(fixture: &Fixture, branch: &str, folder: &str) -> Result<Branch, KnowledgeError> {
    let tracked = Tracked::Here(fixture.repository());
    Branch::open(tracked, (branch, folder), &fixture.home.path().join("cache"))
}

const MARKDOWN: (Which, Which) = (|path| path.starts_with("notes"), |path| path.ends_with(".md"));

#[tokio::test]
async fn a_branch_is_read_at_its_newest_commit_alone() {
    let fixture = Fixture::new();
    fixture.write("desk/notes/a.md", "one");
    let first = fixture.commit(1_000);
    fixture.write("desk/notes/a.md", "two");
    fixture.write("desk/notes/b.txt", "no Markdown");
    fixture.write("desk/other.md", "none of its own");
    fixture.write("notes/c.md", "none of the folder");
    let second = fixture.commit(2_000);
    let desk = branch(&fixture, "main", "desk").unwrap();
    assert_eq!(desk.read(&first, MARKDOWN).await.unwrap(), None);
    let read = desk.read(&second, MARKDOWN).await.unwrap().unwrap();
    assert_eq!(read.files, [("notes/a.md".to_owned(), b"two".to_vec())].into());
    assert_eq!((&*read.author, &*read.subject), ("Ada <ada@example.com>", "change"));
    // What came before it was not fetched.
    let mirror = fs::read_dir(fixture.home.path().join("cache/git")).unwrap();
    let mirror = mirror.flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    assert!(mirror.join("shallow").exists());

    // The branch goes back to where it was.
    fixture.git(&["reset", "--quiet", "--hard", &first]);
    assert!(desk.read(&first, MARKDOWN).await.unwrap().is_some());
    assert!(branch(&fixture, "missing", "").unwrap().read(&first, MARKDOWN).await.is_err());
    for wrong in ["-x", "--upload-pack=x", "a b", ""] {
        assert!(branch(&fixture, wrong, "").is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_no_file_of_a_size_to_read_is_refused() {
    let fixture = Fixture::new();
    let refused = async |fixture: &Fixture, commit: String| {
        branch(fixture, "main", "").unwrap().read(&commit, MARKDOWN).await.unwrap_err()
    };
    std::os::unix::fs::symlink("/etc", fixture.repository().join("notes")).unwrap();
    let linked = fixture.commit(1_000);
    assert!(refused(&fixture, linked).await.contains("`notes` is a link"));
    fs::remove_file(fixture.repository().join("notes")).unwrap();
    fixture.write("notes/large.md", &"x".repeat((8 << 20) + 1));
    let large = fixture.commit(2_000);
    assert!(refused(&fixture, large).await.contains("`notes/large.md` has more than"));
}
