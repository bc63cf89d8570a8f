//! Entries of a feed.
//!
//! A feed tells of what is new and forgets what is old: an entry that fell out of it is still there.

mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use release::{Digest, TenantId};
use security::outside::{Outside, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::fetch::{self, Bounds, Fetched, Fetcher, Memory, Validators};
use super::{Offered, failed, tell, unusable};
use crate::{FeedSpec, KnowledgeError, Metadata, RawDocument, Seen, Source};

use parse::Entry;

/// How much of a feed, and of what it links to, is read at a time.
const BOUNDS: Bounds =
    Bounds { time: Duration::from_secs(900), bytes: 256 << 20, delay: Duration::from_millis(250) };
/// The longest name of an entry that is a path as it stands.
const MAX_NAME: usize = 512;

/// The entries of a feed.
#[derive(Debug)]
pub struct Feed {
    url: Url,
    follow: bool,
    outside: Outside,
    bounds: Bounds,
    memory: Memory,
    /// What the marks of this feed's entries begin with.
    tag: String,
}

/// What is remembered of a feed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    validators: Validators,
    /// The marks of its entries, by path.
    entries: BTreeMap<String, String>,
}

impl Feed {
    pub fn open(
        spec: &FeedSpec,
        offered: &Offered,
        tenant: &TenantId,
    ) -> Result<Self, KnowledgeError> {
        let url = Url::parse(&spec.url).ok().and_then(fetch::page).ok_or_else(|| {
            unusable(format!("`{}`", spec.url), "it is no http:// or https:// address")
        })?;
        let way = if spec.follow { "page" } else { "entry" };
        Ok(Self {
            tag: format!("{way} {} ", Digest::of(url.as_str().as_bytes()).short()),
            follow: spec.follow,
            outside: offered.outside(tenant)?,
            bounds: BOUNDS,
            memory: Memory::new(&offered.cache, tenant, spec)?,
            url,
        })
    }

    /// What an entry is as a document.
    async fn document(&self, entry: &Entry, path: &str, mark: String, fetcher: &Fetcher) -> Seen {
        let mut document = RawDocument {
            path: path.to_owned(),
            bytes: entry.page().into(),
            media_type: Some("text/html; charset=utf-8".to_owned()),
            mark,
            modified_at: entry.changed,
            version: None,
            metadata: metadata(entry),
        };
        if !self.follow {
            return Seen::Fresh(Box::new(document));
        }
        let link = entry.link.as_deref().and_then(|link| self.url.join(link).ok());
        let Some(link) = link.and_then(fetch::page) else {
            return failed(path, "the entry links to no page");
        };
        match fetcher.follow(&link, None).await {
            Fetched::Page(page) => {
                document.modified_at = page.modified_at().or(entry.changed);
                (document.bytes, document.media_type) = (page.body, page.media_type);
                Seen::Fresh(Box::new(document))
            }
            Fetched::Gone => failed(path, format!("`{link}` is not there")),
            Fetched::Excluded => failed(path, format!("`robots.txt` forbids to read `{link}`")),
            Fetched::Refused(why) | Fetched::Broken(why) => {
                failed(path, format!("`{link}`: {why}"))
            }
            Fetched::Same | Fetched::Moved(_) => failed(path, format!("`{link}` leads nowhere")),
        }
    }
}

fn metadata(entry: &Entry) -> Metadata {
    let texts = [("title", &entry.title), ("url", &entry.link), ("author", &entry.author)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?.into())));
    let mut metadata: Metadata = texts.map(|(name, text)| (name.to_owned(), text)).collect();
    if !entry.categories.is_empty() {
        metadata.insert("categories".to_owned(), entry.categories.clone().into());
    }
    metadata
}

/// The path of an entry: what names it, as far as that can be a path.
fn path(entry: &Entry) -> Option<String> {
    let name = entry.id.as_deref().or(entry.link.as_deref())?;
    let short = name.split_once("://").map_or(name, |(_, rest)| rest);
    match short.len() <= MAX_NAME && super::unfit(short).is_none() {
        true => Some(short.to_owned()),
        false => Some(Digest::of(name.as_bytes()).to_hex()),
    }
}

#[async_trait]
impl Source for Feed {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let fetcher = Fetcher::new(self.outside.clone(), self.bounds);
        let mut remembered: Remembered = self.memory.recall();
        // "Not modified" means something only if all that it had is known.
        let known = remembered.entries.iter().all(|(path, mark)| before.get(path) == Some(mark));
        let validators =
            (known && !remembered.entries.is_empty()).then_some(&remembered.validators);
        let entries = match fetcher.follow(&self.url, validators).await {
            Fetched::Same if validators.is_some() => Ok(Vec::new()),
            Fetched::Page(page) => {
                let entries = parse::read(&page.body);
                remembered = Remembered { validators: page.validators, entries: BTreeMap::new() };
                entries
            }
            Fetched::Gone => Err("it is not there".to_owned()),
            Fetched::Excluded => Err("`robots.txt` forbids to read it".to_owned()),
            Fetched::Refused(why) | Fetched::Broken(why) => Err(why),
            Fetched::Same | Fetched::Moved(_) => Err("it leads nowhere".to_owned()),
        };
        let entries = entries.map_err(|why| unusable(format!("feed `{}`", self.url), why))?;
        let mut told = BTreeSet::new();
        for entry in &entries {
            let Some(path) = path(entry).filter(|path| told.insert(path.clone())) else { continue };
            let mark = format!("{}{}", self.tag, entry.digest());
            remembered.entries.insert(path.clone(), mark.clone());
            let one = match before.get(&path) == Some(&mark) {
                true => Seen::Same(path),
                false => self.document(entry, &path, mark, &fetcher).await,
            };
            tell(&seen, one).await?;
        }
        // What is known by another mark is another source's.
        let left = before
            .iter()
            .filter(|(path, mark)| mark.starts_with(&self.tag) && !told.contains(*path));
        for (path, _) in left {
            tell(&seen, Seen::Same(path.clone())).await?;
        }
        self.memory.keep(&remembered)
    }
}

#[cfg(test)]
mod tests;
