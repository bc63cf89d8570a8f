//! Pages of a web site.
//!
//! A page is known by the digest of its bytes. What a server needs to say "not modified", and the
//! links of a page that is not sent again, are remembered in the cache; without it every page is
//! asked for anew, and comes to the same.

mod links;
mod sitemap;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use release::{Digest, TenantId, Timestamp};
use security::outside::{Outside, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::fetch::{
    self, Bounds, Fetched, Fetcher, MAX_REDIRECTS, Memory, Page, Validators, too_often,
};
use super::{MAX_DOCUMENTS, Offered, Wanted, failed, tell, unusable};
use crate::{KnowledgeError, Metadata, RawDocument, Seen, SiteSpec, Source};

/// How many sitemaps are read.
const MAX_SITEMAPS: usize = 1_000;
/// What pages link to that has no text.
const NO_TEXT: &[&str] = &[
    "audio/",
    "font/",
    "video/",
    "text/css",
    "text/javascript",
    "application/javascript",
    "application/zip",
    "application/gzip",
    "application/x-tar",
];

/// The pages of a site.
#[derive(Debug)]
pub struct Site {
    spec: SiteSpec,
    start: Vec<Url>,
    sitemaps: Vec<Url>,
    scope: Vec<Url>,
    wanted: Wanted,
    outside: Outside,
    memory: Memory,
}

/// What is remembered of a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    digest: String,
    validators: Validators,
    links: Vec<String>,
}

/// A page to be asked for.
#[derive(Debug, Clone)]
struct Task {
    url: Url,
    /// How many links led to it.
    depth: u32,
    /// The pages that redirected to it.
    via: Vec<Url>,
    /// Whether the site is not whole without it.
    needed: bool,
    /// When it was changed, by the sitemap.
    modified_at: Option<Timestamp>,
}

/// One time of reading a site.
struct Crawl<'a> {
    site: &'a Site,
    fetcher: Arc<Fetcher>,
    before: &'a BTreeMap<String, String>,
    remembered: BTreeMap<String, Remembered>,
    queue: VecDeque<Task>,
    met: HashSet<Url>,
    told: HashSet<String>,
    asked: usize,
    /// Whether nothing more may be asked for.
    stopped: bool,
    /// Why the site is not whole: the first reason, and how many there are.
    faults: Option<(String, usize)>,
}

impl Site {
    pub fn open(
        spec: &SiteSpec,
        offered: &Offered,
        tenant: &TenantId,
    ) -> Result<Self, KnowledgeError> {
        let (start, sitemaps) = (addresses(&spec.start)?, addresses(&spec.sitemaps)?);
        if start.is_empty() && sitemaps.is_empty() {
            return Err(unusable("site", "it needs `start` or `sitemaps`"));
        }
        let scope = match spec.scope.is_empty() {
            false => addresses(&spec.scope)?,
            true => start.iter().chain(&sitemaps).filter_map(|url| url.join(".").ok()).collect(),
        };
        Ok(Self {
            spec: spec.clone(),
            start,
            sitemaps,
            scope,
            wanted: Wanted::new(&spec.include, &spec.exclude)?,
            outside: offered.outside(tenant)?,
            memory: Memory::new(&offered.cache, tenant, spec)?,
        })
    }

    /// The part of an address that patterns are about.
    fn subject(url: &Url) -> String {
        let path = url.path().trim_start_matches('/');
        url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    fn covers(&self, url: &Url) -> bool {
        let within = |scope: &Url| {
            url.origin() == scope.origin() && url.as_str().starts_with(scope.as_str())
        };
        self.scope.iter().any(within) && !self.wanted.excludes(&Self::subject(url))
    }
}

/// Addresses as they stand in a file.
fn addresses(texts: &[String]) -> Result<Vec<Url>, KnowledgeError> {
    let read = |text: &String| {
        let url = Url::parse(text).ok().and_then(fetch::page);
        url.ok_or_else(|| unusable(format!("`{text}`"), "it is no http:// or https:// address"))
    };
    texts.iter().map(read).collect()
}

#[async_trait]
impl Source for Site {
    async fn read(
        &self,
        before: &BTreeMap<String, String>,
        seen: mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let bounds = Bounds {
            time: Duration::from_secs(self.spec.max_seconds),
            bytes: self.spec.max_bytes,
            delay: Duration::from_millis(self.spec.delay_ms),
        };
        let mut crawl = Crawl {
            site: self,
            fetcher: Arc::new(Fetcher::new(self.outside.clone(), bounds)),
            before,
            remembered: self.memory.recall(),
            queue: VecDeque::new(),
            met: HashSet::new(),
            told: HashSet::new(),
            asked: 0,
            stopped: false,
            faults: None,
        };
        crawl.begin().await;
        let done = crawl.run(&seen).await;
        self.memory.keep(&crawl.remembered)?;
        done?;
        match crawl.faults {
            None => Ok(()),
            Some((why, 1)) => Err(unusable("site", why)),
            Some((why, count)) => Err(unusable("site", format!("{why} ({} more)", count - 1))),
        }
    }
}

impl Crawl<'_> {
    fn fault(&mut self, why: String) {
        let (_, count) = self.faults.get_or_insert((why, 0));
        *count += 1;
    }

    /// Queues what to begin with.
    async fn begin(&mut self) {
        for url in self.site.start.clone() {
            let task = Task { url, depth: 0, via: Vec::new(), needed: true, modified_at: None };
            self.meet(task);
        }
        let mut sitemaps: VecDeque<Url> = self.site.sitemaps.iter().cloned().collect();
        let mut met: HashSet<Url> = sitemaps.iter().cloned().collect();
        while let Some(url) = sitemaps.pop_front() {
            if met.len() > MAX_SITEMAPS {
                self.fault(format!("it has more than {MAX_SITEMAPS} sitemaps"));
                break;
            }
            let read = match self.fetcher.follow(&url, None).await {
                Fetched::Page(page) => sitemap::read(&page.body),
                Fetched::Gone => Err("it is not there".to_owned()),
                Fetched::Excluded => Err("`robots.txt` forbids to read it".to_owned()),
                Fetched::Refused(why) | Fetched::Broken(why) => Err(why),
                Fetched::Same | Fetched::Moved(_) => Err("it leads nowhere".to_owned()),
            };
            let sitemap = match read {
                Ok(sitemap) => sitemap,
                Err(why) => {
                    self.fault(format!("sitemap `{url}`: {why}"));
                    continue;
                }
            };
            for (url, modified_at) in sitemap.pages {
                if self.site.covers(&url) {
                    self.meet(Task { url, depth: 0, via: Vec::new(), needed: false, modified_at });
                }
            }
            for url in sitemap.sitemaps {
                if self.site.covers(&url) && met.insert(url.clone()) {
                    sitemaps.push_back(url);
                }
            }
        }
    }

    fn meet(&mut self, task: Task) {
        // Whatever leads on without end leads to this.
        let room = !self.stopped && self.met.len() < 2 * MAX_DOCUMENTS;
        if room && self.met.insert(task.url.clone()) {
            self.queue.push_back(task);
        }
    }

    /// Asks for what is queued, the nearest pages first, until nothing is left.
    async fn run(&mut self, seen: &mpsc::Sender<Seen>) -> Result<(), KnowledgeError> {
        let mut asking = FuturesUnordered::new();
        loop {
            while asking.len() < self.site.spec.concurrency {
                let Some(task) = self.next() else { break };
                // What is remembered counts only for the bytes that are known.
                let path = fetch::path(&task.url);
                let known = self.remembered.get(&path);
                let known = known.filter(|known| self.before.get(&path) == Some(&known.digest));
                let (known, fetcher) = (known.cloned(), Arc::clone(&self.fetcher));
                asking.push(async move {
                    let validators = known.as_ref().map(|known| &known.validators);
                    let fetched = fetcher.get(&task.url, validators).await;
                    (task, fetched)
                });
            }
            let Some((task, fetched)) = asking.next().await else { return Ok(()) };
            self.take(task, fetched, seen).await?;
        }
    }

    /// What to ask for next.
    fn next(&mut self) -> Option<Task> {
        let task = self.queue.pop_front()?;
        let most = self.site.spec.max_pages;
        let many = format!("it has more than {most} pages: raise `max_pages`, or leave pages out");
        if let Some(why) = self.fetcher.exhausted().or((self.asked >= most).then_some(many)) {
            self.fault(why);
            self.stopped = true;
            self.queue.clear();
            return None;
        }
        self.asked += 1;
        Some(task)
    }

    /// Takes what came of asking for a page.
    async fn take(
        &mut self,
        task: Task,
        fetched: Fetched,
        seen: &mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let path = fetch::path(&task.url);
        let why = match fetched {
            Fetched::Page(page) => return self.page(&task, page, seen).await,
            Fetched::Same => {
                self.lead_on(&task, None);
                return self.tell(seen, Seen::Same(path.clone()), path).await;
            }
            Fetched::Moved(to) => match self.moved(&task, to) {
                None => return Ok(()),
                Some(why) => why,
            },
            Fetched::Gone | Fetched::Excluded if !task.needed => {
                self.remembered.remove(&path);
                return Ok(());
            }
            Fetched::Gone => "it is not there".to_owned(),
            Fetched::Excluded => "`robots.txt` forbids to read it".to_owned(),
            Fetched::Refused(why) => why,
            Fetched::Broken(why) => {
                // What it led to may be there all the same.
                self.lead_on(&task, None);
                if !task.needed {
                    self.fault(format!("`{}`: {why}", task.url));
                }
                why
            }
        };
        if task.needed {
            self.fault(format!("`{}`: {why}", task.url));
        }
        self.tell(seen, failed(path.clone(), why), path).await
    }

    /// Goes where a page has moved to; why not, if that makes the site less than whole.
    fn moved(&mut self, task: &Task, to: Url) -> Option<String> {
        if task.via.len() == MAX_REDIRECTS {
            return Some(too_often());
        }
        if to == task.url || task.via.contains(&to) {
            return Some("it redirects in a circle".to_owned());
        }
        if !self.site.covers(&to) {
            return task.needed.then(|| format!("it leads out of the scope, to `{to}`"));
        }
        let mut next = Task { url: to, ..task.clone() };
        next.via.push(task.url.clone());
        self.meet(next);
        None
    }

    /// Queues what a page links to; what it was last seen to link to, if it did not come.
    fn lead_on(&mut self, task: &Task, links: Option<&[Url]>) {
        if task.depth >= self.site.spec.max_depth {
            return;
        }
        let remembered = self.remembered.get(&fetch::path(&task.url));
        let remembered = || {
            let links = remembered.iter().flat_map(|page| &page.links);
            links.filter_map(|link| Url::parse(link).ok()).collect()
        };
        for url in links.map_or_else(remembered, <[Url]>::to_vec) {
            let depth = task.depth + 1;
            self.meet(Task { url, depth, via: Vec::new(), needed: false, modified_at: None });
        }
    }

    async fn page(
        &mut self,
        task: &Task,
        page: Page,
        seen: &mpsc::Sender<Seen>,
    ) -> Result<(), KnowledgeError> {
        let path = fetch::path(&task.url);
        let media_type = page.media_type.clone().unwrap_or_default().to_ascii_lowercase();
        let mut links = Vec::new();
        if media_type.starts_with("text/html") || media_type.starts_with("application/xhtml") {
            let (body, url) = (page.body.clone(), task.url.clone());
            let found = tokio::task::spawn_blocking(move || links::of(&body, &url)).await;
            links = found.map_err(|_| KnowledgeError::Stopped)?;
            links.retain(|url| self.site.covers(url));
        }
        self.lead_on(task, Some(&links));
        let digest = Digest::of(&page.body).to_hex();
        if page.validators == Validators::default() {
            self.remembered.remove(&path);
        } else {
            let validators = page.validators.clone();
            let links = links.iter().map(Url::to_string).collect();
            let remembered = Remembered { digest: digest.clone(), validators, links };
            self.remembered.insert(path.clone(), remembered);
        }
        if NO_TEXT.iter().any(|kind| media_type.starts_with(kind)) {
            return Ok(());
        }
        let one = match self.before.get(&path) == Some(&digest) {
            true => Seen::Same(path.clone()),
            false => Seen::Fresh(Box::new(RawDocument {
                path: path.clone(),
                modified_at: page.modified_at().or(task.modified_at),
                bytes: page.body,
                media_type: page.media_type,
                mark: digest,
                version: page.validators.etag,
                metadata: Metadata::from([("url".to_owned(), task.url.as_str().into())]),
            })),
        };
        self.tell(seen, one, path).await
    }

    /// Tells of a page, if it is wanted and was not told of under another scheme.
    async fn tell(
        &mut self,
        seen: &mpsc::Sender<Seen>,
        one: Seen,
        path: String,
    ) -> Result<(), KnowledgeError> {
        let (_, subject) = path.split_once('/').unwrap_or_default();
        if self.site.wanted.wants(subject) && self.told.insert(path) {
            tell(seen, one).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
