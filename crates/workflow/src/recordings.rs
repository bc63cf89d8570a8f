//! Where tests find recorded behaviour, which is not part of the repository.

use std::path::PathBuf;

/// The folder of recordings; none, and said so, where it is not there.
pub fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("GROUNDCREW_CONFORMANCE").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = given.unwrap_or_else(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there are no recorded cases in {}", folder.display());
    None
}
