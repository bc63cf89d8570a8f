//! Spans of other services: how many are acknowledged on disk and found, at what cost, and how fast
//! questions about a million are answered; with Arize Phoenix beside us, which gets the same spans.

mod batch;
mod target;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::batch::{Corpus, Draw, Template};
use self::target::Target;
use super::python;
use super::{binaries, scripted_model, thread_cpu};
use crate::load::{Connection, Measured, Shot, fire};

/// Bytes of a span: one of an agent, and one with a long history.
const SIZES: [usize; 2] = [1_500, 9_000];
/// How many send at once when each waits for its answer only.
const SENDERS: u64 = 4;
/// How long each part is measured.
const ROUND: Duration = Duration::from_secs(10);
/// Spans a second when senders keep to a rate, by size.
const RATES: [u64; 2] = [20_000, 4_000];
/// How often a server is killed.
const KILLS: u64 = 5;
/// How often each question is asked.
const ASKED: usize = 20;
/// Over how many seconds the spans that are asked about are spread.
const DAY: u64 = 86_400;

/// Runs the benchmark; queries are measured over `spans` spans.
///
/// # Errors
/// If something cannot be installed or started, or answers wrongly.
pub fn run(peers: &[String], spans: u64) -> Result<()> {
    if let Some(other) = peers.iter().find(|peer| *peer != "phoenix") {
        bail!("`{other}` is not a peer: use phoenix");
    }
    let bench = Bench::new()?;
    for (bytes, rate) in SIZES.into_iter().zip(RATES) {
        let template = Template::make(&bench.home, bytes)?;
        println!("\n== spans of {} bytes, {} in a message", template.span_bytes(), template.spans);
        let mut targets = vec![bench.groundcrew(&format!("ours-{bytes}"))?];
        if !peers.is_empty() {
            targets.push(bench.phoenix(&format!("phoenix-{bytes}"))?);
        }
        bench.flood(&mut targets, &template)?;
        bench.steady(&targets[0], &template, rate)?;
    }
    let template = Template::make(&bench.home, SIZES[0])?;
    bench.questions(&template, spans)?;
    bench.gateway(&template)?;
    fs::remove_dir_all(&bench.home)?;
    Ok(())
}

struct Bench {
    binaries: PathBuf,
    home: PathBuf,
    upstream: u16,
    _upstream: crate::process::Background,
    corpus: Arc<Corpus>,
}

/// What became of messages that were sent.
#[derive(Default)]
struct Sent {
    /// Spans that were acknowledged.
    spans: u64,
    /// From when each message was due to its answer.
    waited: Vec<Duration>,
}

impl Bench {
    fn new() -> Result<Self> {
        let binaries = binaries()?;
        let home = std::env::temp_dir().join(format!("groundcrew-bench-{}", std::process::id()));
        fs::create_dir_all(&home)?;
        let (upstream_process, upstream) = scripted_model(&binaries)?;
        let corpus = Arc::new(Corpus::load()?);
        Ok(Self { binaries, home, upstream, _upstream: upstream_process, corpus })
    }

    fn groundcrew(&self, name: &str) -> Result<Target> {
        Target::groundcrew(&self.binaries, &self.home.join(name), self.upstream)
    }

    fn phoenix(&self, name: &str) -> Result<Target> {
        let python = python("arize-phoenix==20.26.1", &[])?;
        Target::phoenix(&python, &self.home.join(name))
    }

    /// As fast as each is answered; then each is killed in the middle of it.
    fn flood(&self, targets: &mut [Target], template: &Template) -> Result<()> {
        println!(
            "{:<12}{:>10}{:>11}{:>11}{:>11}{:>13}{:>12}",
            "", "acked/s", "landed/s", "p50 ms", "p99 ms", "CPU µs/span", "bytes/span"
        );
        let mut rates = Vec::new();
        for target in targets.iter() {
            let (start, cpu) = (Instant::now(), target.cpu()?);
            let sent = self.send(target, template, &Pace::Full(ROUND))?;
            let acknowledged = start.elapsed();
            target.wait_for(sent.spans)?;
            let landed = start.elapsed();
            let cpu = target.cpu()? - cpu;
            // What is in memory is flushed after half a minute.
            std::thread::sleep(Duration::from_secs(35));
            let spans = sent.spans as f64;
            println!(
                "{:<12}{:>10.0}{:>11.0}{:>11.1}{:>11.1}{:>13.1}{:>12.0}",
                target.name,
                spans / acknowledged.as_secs_f64(),
                spans / landed.as_secs_f64(),
                Measured::quantile(&sent.waited, 0.5) / 1e3,
                Measured::quantile(&sent.waited, 0.99) / 1e3,
                cpu * 1e6 / spans,
                target.bytes()? as f64 / spans
            );
            rates.push(spans / landed.as_secs_f64());
        }
        if let [ours, theirs] = rates.as_slice() {
            println!("groundcrew : phoenix = {:.1} spans found a second", ours / theirs);
        }
        for target in targets {
            self.killed(target, template)?;
        }
        Ok(())
    }

    /// Kills a server while it is sent spans, and counts what it had acknowledged and lost.
    fn killed(&self, target: &mut Target, template: &Template) -> Result<()> {
        let (mut acknowledged, mut lost) = (0, 0);
        for _ in 0..KILLS {
            let before = target.landed()?;
            let counted = Arc::new(AtomicU64::new(0));
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let (port, head) = (target.port, target.head(template.bytes.len()));
                    let (corpus, mut template) = (Arc::clone(&self.corpus), template.clone());
                    let counted = Arc::clone(&counted);
                    std::thread::spawn(move || -> Result<()> {
                        let mut draw = Draw::new(now() + sender);
                        let mut connection = Connection::open(port)?;
                        loop {
                            template.fill(&corpus, &mut draw, 0);
                            connection.send(&[head.as_bytes(), &template.bytes])?;
                            counted.fetch_add(template.spans, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_secs(2));
            target.kill_and_start()?;
            // Each ends with the connection that broke.
            senders.into_iter().for_each(|sender| drop(sender.join()));
            let counted = counted.load(Ordering::Relaxed);
            // What was under way may have been kept without its answer.
            lost += counted.saturating_sub(target.landed()? - before);
            acknowledged += counted;
        }
        println!(
            "{}: killed {KILLS} times, {lost} of {acknowledged} acknowledged lost",
            target.name
        );
        Ok(())
    }

    /// At a steady rate: what that takes, and how soon a span that was acknowledged is found.
    fn steady(&self, target: &Target, template: &Template, rate: u64) -> Result<()> {
        let done = AtomicBool::new(false);
        let (start, cpu) = (Instant::now(), target.cpu()?);
        let (sent, mut found) = std::thread::scope(|scope| {
            let looking = scope.spawn(|| self.looks(target, template, &done));
            let sent = self.send(target, template, &Pace::Rate(rate, ROUND));
            done.store(true, Ordering::Relaxed);
            let found = looking.join().map_err(|_| anyhow::anyhow!("the looking thread failed"));
            anyhow::Ok((sent?, found??))
        })?;
        target.wait_for(sent.spans)?;
        let (elapsed, cpu) = (start.elapsed().as_secs_f64(), target.cpu()? - cpu);
        found.sort();
        println!(
            "at {rate} spans/s: {:.0} acknowledged/s with {:.2} cores, p50 {:.1} ms, p99 {:.1} ms; a \
             trace is found after p50 {:.0} ms, p99 {:.0} ms",
            sent.spans as f64 / elapsed,
            cpu / elapsed,
            Measured::quantile(&sent.waited, 0.5) / 1e3,
            Measured::quantile(&sent.waited, 0.99) / 1e3,
            Measured::quantile(&found, 0.5) / 1e3,
            Measured::quantile(&found, 0.99) / 1e3,
        );
        Ok(())
    }

    /// From the answer to a message until a query finds its first trace, again and again.
    fn looks(
        &self,
        target: &Target,
        template: &Template,
        done: &AtomicBool,
    ) -> Result<Vec<Duration>> {
        let (mut template, mut draw) = (template.clone(), Draw::new(now()));
        let mut connection = Connection::open(target.port)?;
        let head = target.head(template.bytes.len());
        let mut found = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let trace = template.fill(&self.corpus, &mut draw, 0);
            connection.send(&[head.as_bytes(), &template.bytes])?;
            let start = Instant::now();
            let sql = format!("SELECT count(*) AS n FROM spans WHERE trace_id = '{trace}'");
            while target.ask(&sql)?[0]["n"].as_u64() != Some(5) {}
            found.push(start.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(found)
    }

    /// Questions about many spans of one day.
    fn questions(&self, template: &Template, spans: u64) -> Result<()> {
        let target = self.groundcrew("questions")?;
        println!(
            "\n== questions about {spans} spans of {} bytes, of one day",
            template.span_bytes()
        );
        let sent = self.send(&target, template, &Pace::Count(spans, DAY))?;
        target.wait_for(sent.spans)?;
        std::thread::sleep(Duration::from_secs(35));
        println!("{:.0} bytes/span on disk", target.bytes()? as f64 / sent.spans as f64);
        let trace = target.ask("SELECT trace_id FROM spans WHERE service = 'shop' LIMIT 1")?;
        let trace = trace[0]["trace_id"].as_str().context("there is no trace")?.to_owned();
        let questions = [
            ("one trace", format!("SELECT * FROM spans WHERE trace_id = '{trace}'")),
            (
                "errors by release over a day",
                "SELECT release, count(*) AS errors FROM spans WHERE status = 'error' \
                 GROUP BY release ORDER BY errors DESC"
                    .to_owned(),
            ),
            (
                "p99 latency by model a minute",
                "SELECT date_bin(INTERVAL '1 minute', timestamp) AS minute, request_model, \
                 approx_percentile_cont(duration_ns, 0.99) AS p99 FROM spans \
                 WHERE operation = 'chat' GROUP BY 1, 2 ORDER BY 1 LIMIT 10000"
                    .to_owned(),
            ),
            (
                "top chunks",
                "SELECT chunk, count(*) AS answers FROM retrieval_edges GROUP BY chunk \
                 ORDER BY answers DESC LIMIT 20"
                    .to_owned(),
            ),
        ];
        println!("{:<32}{:>10}{:>10}{:>10}{:>14}", "", "p50 ms", "p95 ms", "rows", "CPU ms");
        for (name, sql) in questions {
            let mut rows = 0;
            let (mut took, cpu) = (Vec::new(), target.cpu()?);
            for _ in 0..ASKED {
                let start = Instant::now();
                let answer = target.ask(&sql)?;
                took.push(start.elapsed());
                rows = answer.as_array().map_or(0, Vec::len);
            }
            if rows == 0 {
                bail!("`{name}` has no answer");
            }
            took.sort();
            println!(
                "{name:<32}{:>10.1}{:>10.1}{rows:>10}{:>14.1}",
                Measured::quantile(&took, 0.5) / 1e3,
                Measured::quantile(&took, 0.95) / 1e3,
                (target.cpu()? - cpu) * 1e3 / ASKED as f64
            );
        }
        Ok(())
    }

    /// The gateway alone, then with spans coming in beside.
    fn gateway(&self, template: &Template) -> Result<()> {
        let target = self.groundcrew("gateway")?;
        let body = "{\"model\":\"bench\",\"messages\":[{\"role\":\"user\",\"content\":\"Say \
                    something about the weather in sixty words, please.\"}]}";
        let key = target.key.as_deref().unwrap_or_default();
        let shot = Shot::post(target.port, "/v1/chat/completions", key, body);
        fire(&shot, 4, ROUND / 8)?;
        println!("\n== answers with and without spans coming in");
        println!("{:<26}{:>9}{:>9}{:>9}{:>14}", "", "req/s", "p50 ms", "p99 ms", "CPU µs/req");
        let (mut alone, mut telemetry) = (0.0, 0.0);
        for rate in [0, 1_000, 5_000] {
            let pid = target.pid();
            let ingest =
                || anyhow::Ok(thread_cpu(pid, "telemetry")? + thread_cpu(pid, "telemetry-sync")?);
            let (cpu, own) = (target.cpu()?, ingest()?);
            let answered = std::thread::scope(|scope| {
                let sending = (rate > 0).then(|| {
                    scope.spawn(|| self.send(&target, template, &Pace::Rate(rate, ROUND)))
                });
                let answered = fire(&shot, 4, ROUND);
                let sent = sending.map(|sending| sending.join());
                if let Some(sent) = sent {
                    sent.map_err(|_| anyhow::anyhow!("the sending thread failed"))??;
                }
                answered
            })?;
            let requests = answered.whole.len() as f64;
            let (cpu, own) = (target.cpu()? - cpu, ingest()? - own);
            if rate == 0 {
                (alone, telemetry) = (cpu / requests, own / requests);
            }
            println!(
                "{:<26}{:>9.0}{:>9.2}{:>9.2}{:>14.1}",
                format!("{rate} spans/s"),
                requests / answered.elapsed.as_secs_f64(),
                Measured::quantile(&answered.whole, 0.5) / 1e3,
                Measured::quantile(&answered.whole, 0.99) / 1e3,
                cpu * 1e6 / requests
            );
        }
        println!(
            "of a request's CPU, {:.1} µs make its own record rows, files and metrics: {:.0} % more than without",
            telemetry * 1e6,
            telemetry / (alone - telemetry) * 100.0
        );
        Ok(())
    }

    /// Sends messages at a pace over several connections.
    fn send(&self, target: &Target, template: &Template, pace: &Pace) -> Result<Sent> {
        let start = Instant::now();
        let sent = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    scope.spawn(move || self.sender(target, template, (pace, start, sender)))
                })
                .collect();
            let mut all = Sent::default();
            for sender in senders {
                let sent =
                    sender.join().map_err(|_| anyhow::anyhow!("a sender's thread failed"))??;
                all.spans += sent.spans;
                all.waited.extend(sent.waited);
            }
            anyhow::Ok(all)
        });
        let mut sent = sent.with_context(|| format!("{} took no spans", target.name))?;
        sent.waited.sort();
        Ok(sent)
    }

    fn sender(
        &self,
        target: &Target,
        template: &Template,
        (pace, start, number): (&Pace, Instant, u64),
    ) -> Result<Sent> {
        let (mut template, mut draw) = (template.clone(), Draw::new(now() + number));
        let mut connection = Connection::open(target.port)?;
        let head = target.head(template.bytes.len());
        let (mut sent, mut messages) = (Sent::default(), number);
        loop {
            let due = match pace {
                Pace::Full(most) if start.elapsed() >= *most => return Ok(sent),
                Pace::Count(spans, _) if messages * template.spans >= *spans => return Ok(sent),
                Pace::Rate(rate, most) => {
                    let every = Duration::from_secs(1) * template.spans as u32 / *rate as u32;
                    let due = every * messages as u32;
                    if due >= *most {
                        return Ok(sent);
                    }
                    std::thread::sleep(due.saturating_sub(start.elapsed()));
                    start + due
                }
                _ => Instant::now(),
            };
            let back = if let Pace::Count(_, back) = pace { *back } else { 0 };
            template.fill(&self.corpus, &mut draw, back);
            connection.send(&[head.as_bytes(), &template.bytes])?;
            sent.waited.push(due.elapsed());
            sent.spans += template.spans;
            messages += SENDERS;
        }
    }
}

/// How fast messages are sent.
enum Pace {
    /// Each after the answer to the one before, for so long.
    Full(Duration),
    /// So many spans, of the last so many seconds.
    Count(u64, u64),
    /// So many spans a second, for so long, whatever the answers take.
    Rate(u64, Duration),
}

/// A number that no earlier run began its draws with.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64
}
