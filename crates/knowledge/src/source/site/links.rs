//! Where a page leads.

use std::cell::RefCell;
use std::collections::BTreeSet;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts,
};
use security::outside::Url;

use super::fetch;

/// The most links of a page.
const MAX_LINKS: usize = 10_000;

/// Collects links. Only tags are looked at, no tree is made: that takes time by the length of the
/// page and by nothing else.
struct Links {
    base: RefCell<Url>,
    found: RefCell<BTreeSet<Url>>,
}

/// What a page of HTML links to, in order and each once.
pub fn of(page: &[u8], url: &Url) -> Vec<Url> {
    let links = Links { base: RefCell::new(url.clone()), found: RefCell::default() };
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(&*String::from_utf8_lossy(page)));
    let tokenizer = Tokenizer::new(links, TokenizerOpts::default());
    while !queue.is_empty() {
        // Each time up to where the sink wants to be asked: it never does.
        let _told = tokenizer.feed(&queue);
    }
    tokenizer.end();
    tokenizer.sink.found.take().into_iter().collect()
}

impl TokenSink for Links {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let TagToken(tag) = token else { return TokenSinkResult::Continue };
        if tag.kind != StartTag {
            return TokenSinkResult::Continue;
        }
        match &*tag.name {
            "a" | "area" => self.found(&tag),
            "base" => {
                if let Some(base) =
                    address(&tag).and_then(|href| self.base.borrow().join(&href).ok())
                {
                    self.base.replace(base);
                }
            }
            // What is between these is no HTML.
            "script" => return TokenSinkResult::RawData(ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                return TokenSinkResult::RawData(Rawtext);
            }
            "title" | "textarea" => return TokenSinkResult::RawData(Rcdata),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Links {
    fn found(&self, tag: &Tag) {
        let url = address(tag).and_then(|href| self.base.borrow().join(&href).ok());
        let mut found = self.found.borrow_mut();
        if let Some(url) = url.and_then(fetch::page).filter(|_| found.len() < MAX_LINKS) {
            found.insert(url);
        }
    }
}

fn address(tag: &Tag) -> Option<String> {
    let href = tag.attrs.iter().find(|attribute| &*attribute.name.local == "href")?;
    Some(href.value.trim().to_owned())
}
