//! What knowledge bases find, and importing models: `knowledge search`, `knowledge evaluate` and
//! `models import`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use embedding::FILES;
use reqwest::Method;
use serde_json::{Value, json};

use super::progress::Bar;
use super::show;
use crate::client::Client;

/// How many bytes of a model are sent at a time.
const PIECE: usize = 256 << 10;

/// A question and how it is asked.
#[derive(Debug, clap::Args)]
pub struct SearchArguments {
    /// The knowledge base.
    name: String,
    /// The question.
    question: String,
    /// How many passages; as many as the knowledge base says, else 5, if absent.
    #[arg(long)]
    limit: Option<usize>,
    /// By words, by vectors or by both: bm25, vector or hybrid; as the knowledge base says if absent.
    #[arg(long)]
    mode: Option<String>,
    /// Only documents that pass: KEY=VALUE, KEY!=VALUE, KEY=A|B, KEY^=PREFIX, KEY>=VALUE,
    /// KEY<=VALUE, KEY or !KEY. May be given several times.
    #[arg(long)]
    filter: Vec<String>,
    /// Say where each score comes from.
    #[arg(long)]
    explain: bool,
}

/// Queries and how they are asked.
#[derive(Debug, clap::Args)]
pub struct EvaluateArguments {
    /// The knowledge base.
    name: String,
    /// A file with a query a line: {"query": …, "relevant": [document path or passage id, …]}, and a
    /// `vector` if it is known.
    #[arg(long)]
    queries: PathBuf,
    /// How many passages each query is given.
    #[arg(long, default_value_t = 10)]
    k: usize,
    /// A mode: bm25, vector or hybrid; all that there are if absent.
    #[arg(long)]
    mode: Vec<String>,
}

/// A model and what it is to be called.
#[derive(Debug, clap::Args)]
pub struct ImportArguments {
    /// The folder with `config.json`, `tokenizer.json` and `model.safetensors`.
    path: PathBuf,
    /// What knowledge bases call it; the folder's name if absent.
    #[arg(long)]
    name: Option<String>,
    /// The licence of the files, by its SPDX identifier, as `Apache-2.0`: gates may ask for it.
    #[arg(long)]
    licence: Option<String>,
}

/// Asks a knowledge base.
pub async fn search(client: &Client, asked: SearchArguments, out: &show::Output) -> Result<()> {
    let mut query = vec![("q", asked.question), ("explain", asked.explain.to_string())];
    query.extend(asked.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(asked.mode.map(|mode| ("mode", mode)));
    query.extend(asked.filter.into_iter().map(|filter| ("filter", filter)));
    let found = client.get(&format!("/api/v1/knowledge/{}/search", asked.name), &query).await?;
    out.value(&found, show::passages)
}

/// Measures a knowledge base.
pub async fn evaluate(client: &Client, asked: EvaluateArguments, out: &show::Output) -> Result<()> {
    let file = asked.queries.display();
    let text = fs::read_to_string(&asked.queries).with_context(|| format!("cannot read {file}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let queries = lines.map(|(at, line)| {
        serde_json::from_str::<Value>(line).with_context(|| format!("{file}, line {}", at + 1))
    });
    let queries = queries.collect::<Result<Vec<_>>>()?;
    let bar = Bar::new(out, &format!("asking {} queries", queries.len()));
    let body = json!({"queries": queries, "k": asked.k, "modes": asked.mode});
    let path = format!("/api/v1/knowledge/{}/evaluate", asked.name);
    let measured = client.post(&path, &body).await;
    drop(bar);
    out.value(&measured?, show::evaluation)
}

/// Sends a model's files to the server, which checks and keeps them.
pub async fn import(client: &Client, asked: ImportArguments, out: &show::Output) -> Result<()> {
    let name = match &asked.name {
        Some(name) => name.clone(),
        None => named_after(&asked.path)?,
    };
    let mut list = Vec::new();
    let mut bytes = Vec::new();
    for (path, file) in FILES.iter().map(|path| (path, asked.path.join(path))) {
        if file.exists() {
            let read =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            list.push(json!([path, read.len()]));
            bytes.extend(read);
        }
    }
    if list.is_empty() {
        bail!("{} has none of the files {}", asked.path.display(), FILES.join(", "));
    }
    let mut body = serde_json::to_vec(&list)?;
    body.push(b'\n');
    body.extend(bytes);
    let length = body.len();
    let bar = Bar::of_bytes(out, &format!("sending {name}"), length as u64).map(Arc::new);
    let counting = bar.clone();
    let pieces = Bytes::from(body);
    let pieces = (0..length).step_by(PIECE).map(move |at| {
        let piece = pieces.slice(at..length.min(at + PIECE));
        if let Some(bar) = &counting {
            bar.add(piece.len() as u64);
        }
        Ok::<_, std::convert::Infallible>(piece)
    });
    let pieces = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = client.request(Method::PUT, &format!("/api/v1/models/{name}"));
    let request = request.query(&[("licence", asked.licence)]);
    let imported = client.send(request.header("content-length", length).body(pieces)).await;
    drop(bar);
    out.value(&imported?, show::imported)
}

fn named_after(path: &Path) -> Result<String> {
    let real = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(name.to_ascii_lowercase())
}
