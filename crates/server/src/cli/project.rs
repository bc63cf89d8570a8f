//! The commands that read and write a project's directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use delivery::project::Project;
use delivery::project::files::{Files, Folder};
use serde_json::json;

use super::pipelines::checkout::Checkout;
use super::show::{self, Output};
use crate::api::ApplyBody;
use crate::client::Client;

/// What `init` writes: path and contents.
const TEMPLATE: &[(&str, &str)] = &[
    ("groundcrew.toml", include_str!("../../template/groundcrew.toml")),
    ("server.toml", include_str!("../../template/server.toml")),
    ("apps/assistant.toml", include_str!("../../template/apps/assistant.toml")),
    ("prompts/assistant.md", include_str!("../../template/prompts/assistant.md")),
    ("models/extractive.toml", include_str!("../../template/models/extractive.toml")),
    ("guardrails/default.toml", include_str!("../../template/guardrails/default.toml")),
    ("knowledge/docs.toml", include_str!("../../template/knowledge/docs.toml")),
    ("docs/welcome.md", include_str!("../../template/docs/welcome.md")),
    (".gitignore", ".groundcrew/\n"),
];

/// Writes a new project; nothing that exists is touched.
pub fn init(directory: &Path, out: &Output) -> Result<()> {
    if let Some((path, _)) = TEMPLATE.iter().find(|(path, _)| directory.join(path).exists()) {
        bail!("`{path}` exists already in {}: nothing was written", directory.display());
    }
    for (path, contents) in TEMPLATE {
        let file = directory.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, contents).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let written: Vec<_> = TEMPLATE.iter().map(|(path, _)| *path).collect();
    out.value(&json!({"directory": directory, "files": written}), |_| {
        format!(
            "wrote a project to {}\n\nnext:\n  groundcrew up          serve it (in another terminal)\n  \
             groundcrew apply       release what the files say\n  groundcrew knowledge refresh docs\n  \
             groundcrew ask assistant@dev \"What can I ask?\"",
            directory.display()
        )
    })
}

/// Looks for mistakes without a server.
pub fn check(directory: &Path, out: &Output) -> Result<()> {
    let (project, found) = Project::load(&read(directory)?);
    out.value(&json!({"ok": project.is_some(), "diagnostics": found}), |_| {
        let mut lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        if project.is_some() {
            lines.push("the project is right".to_owned());
        }
        lines.join("\n")
    })?;
    if project.is_none() {
        bail!("the project has mistakes");
    }
    Ok(())
}

/// Applies a project, with the commit that its files are of.
pub async fn apply(
    client: &Client,
    directory: &Path,
    how: (Option<u64>, String, bool),
    out: &Output,
) -> Result<()> {
    let body = upload(directory, Checkout::of(directory).as_ref(), how)?;
    out.value(&client.post("/api/v1/projects", &body).await?, show::applied)
}

/// The project's files as `apply` sends them.
pub fn upload(
    directory: &Path,
    checkout: Option<&Checkout>,
    (generation, reason, prune): (Option<u64>, String, bool),
) -> Result<ApplyBody> {
    let encode = |bytes: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
    let files = read(directory)?;
    let files: BTreeMap<_, _> =
        files.iter().map(|(path, bytes)| (path.clone(), encode(bytes))).collect();
    // What no commit has is of no commit.
    let checkout = checkout.filter(|checkout| !checkout.dirty);
    let commit = checkout.map(|checkout| checkout.commit.clone());
    let commit_author = checkout.and_then(|checkout| checkout.author.clone());
    Ok(ApplyBody { files, generation, commit, commit_author, reason, prune })
}

/// The files that belong to the project, in its folders only.
fn read(directory: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        let listed =
            fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
        for entry in listed {
            let entry = entry?;
            let path = entry.path();
            let relative = path.strip_prefix(directory).unwrap_or(&path);
            let name = relative.to_string_lossy().replace('\\', "/");
            let kind = entry.file_type()?;
            let folder = name.split('/').next().unwrap_or_default();
            if kind.is_dir() && Folder::NAMES.contains(&folder) {
                pending.push(path);
            } else if kind.is_file() && Folder::of(&name).is_some() {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
                files.insert(name, bytes);
            }
        }
    }
    Ok(files)
}
