//! A disk that is full: a clear error, and what served before serves on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use e2e::Stage;

/// A disk of its own for content, of four megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may mount nothing.
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&path);
        mount.output().unwrap().status.success().then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server may still have files open there; the disk goes with the last of them.
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_refresh_on_a_full_disk_fails_by_name_and_the_snapshot_before_keeps_serving() {
    let mut stage = Stage::empty().unwrap();
    let Some(disk) = SmallDisk::mount(stage.path().join(".groundcrew/blobs")) else {
        eprintln!("not run: this user may not mount a small disk");
        return;
    };
    let server = "listen = \"127.0.0.1:0\"\n[directories.project]\npath = \".\"\n";
    stage.write("server.toml", server).unwrap();
    stage.write("groundcrew.toml", "name = \"desk\"\nenvironments = [\"prod\"]\n").unwrap();
    let base = "[[sources]]\nkind = \"directory\"\ndirectory = \"project\"\npath = \"docs\"\n";
    stage.write("knowledge/docs.toml", base).unwrap();
    stage.write("docs/a.md", "# Helmets\n\nHelmets can be returned for 60 days.\n").unwrap();
    stage.start().unwrap();
    stage.groundcrew(&["apply"]).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap();
    let search = |stage: &Stage| stage.json(&["knowledge", "search", "docs", "return a helmet"]);
    let before = search(&stage).unwrap();

    let filler = disk.0.join("filler");
    let mut size = 4 << 20;
    while fs::write(&filler, vec![0; size]).is_err() {
        size -= 4096;
    }
    let words: String = (0..20_000).map(|n| format!("word{n} ")).collect();
    stage.write("docs/b.md", &words).unwrap();
    let refused = stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap_err().to_string();
    assert!(refused.contains("No space left"), "{refused}");
    assert_eq!(search(&stage).unwrap(), before);
    fs::remove_file(filler).unwrap();
    stage.groundcrew(&["knowledge", "refresh", "docs"]).unwrap();
    let found = stage.json(&["knowledge", "search", "docs", "word77"]).unwrap();
    assert!(found.to_string().contains("b.md"), "{found}");
}
