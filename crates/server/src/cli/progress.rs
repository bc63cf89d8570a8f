//! How far long work is, on the terminal of whoever waits for it. Nothing is drawn where nobody
//! looks, or where the answer is to be JSON.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::show::{self, Output};
use crate::client::Client;

/// How often it is asked how far the work is.
const ASK: Duration = Duration::from_millis(500);
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// A bar on the terminal, gone when it is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar, if somebody looks.
    pub fn new(out: &Output, about: &str) -> Option<Self> {
        if out.json || !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {elapsed} {msg}"));
        bar.set_message(about.to_owned());
        bar.enable_steady_tick(TICK);
        Some(Self(bar))
    }

    /// A bar over so many bytes, if somebody looks.
    pub fn of_bytes(out: &Output, about: &str, bytes: u64) -> Option<Self> {
        let bar = Self::new(out, about)?;
        bar.0.set_style(style("{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left"));
        bar.0.set_length(bytes);
        Some(bar)
    }

    /// So much more is done.
    pub fn add(&self, done: u64) {
        self.0.inc(done);
    }

    /// Shows what a task tells of itself.
    fn tell(&self, told: &str) {
        match counted(told) {
            Some((done, of)) => {
                self.0.set_style(style("{elapsed} {msg} {wide_bar} {eta} left"));
                self.0.set_length(of);
                self.0.set_position(done);
            }
            None => self.0.set_style(style("{spinner} {elapsed} {msg}")),
        }
        self.0.set_message(told.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Templates are written here and tested, so the one it falls back to is never seen.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// How much of what is done, of `embedding: 40 of 120 texts`.
fn counted(told: &str) -> Option<(u64, u64)> {
    let (done, of) = told.split_once(": ")?.1.split_once(" of ")?;
    Some((done.parse().ok()?, of.split(' ').next()?.parse().ok()?))
}

/// Has a task done and shows how far it is; what came of it.
///
/// # Errors
/// If the server says no, or the task has no result.
pub async fn done(client: &Client, request: reqwest::RequestBuilder, bar: Bar) -> Result<Value> {
    let begun = client.send(request.query(&[("wait", "false")])).await?;
    let Some((workflow, name)) = begun["execution"].as_str().and_then(|key| key.split_once('/'))
    else {
        bail!("the server does not say which execution it began");
    };
    let path = format!("/api/v1/workflows/{workflow}/executions/{name}");
    loop {
        let told = client.send(client.request(Method::GET, &path)).await?;
        match told["status"].as_str() {
            Some("RUNNING") => {}
            Some("SUCCEEDED") => return Ok(told["output"].clone()),
            status => match told["cause"].as_str() {
                Some(cause) => bail!("{cause}"),
                None => bail!("the execution is {}", status.unwrap_or("gone")),
            },
        }
        let states = told["progress"].as_object().into_iter().flatten();
        for (_, how_far) in states {
            bar.tell(&show::text(how_far));
        }
        tokio::time::sleep(ASK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_tells_becomes_a_bar_if_it_counts_towards_something() {
        assert_eq!(counted("embedding: 40 of 120 texts"), Some((40, 120)));
        assert_eq!(counted("reading wiki: 12 documents"), None);
        assert_eq!(counted("indexing"), None);
        assert_eq!(counted("reading a: b of c: 1 of 2 documents"), None);
    }

    #[test]
    fn every_template_is_one() {
        for template in [
            "{spinner} {elapsed} {msg}",
            "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left",
            "{elapsed} {msg} {wide_bar} {eta} left",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
