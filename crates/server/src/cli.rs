//! The command line. Every command but a few is a client of the server's API.

mod alarms;
mod backups;
mod batches;
mod diagnosis;
mod documents;
mod erasures;
mod evaluations;
mod experiments;
mod files;
mod freshness;
mod gates;
mod metrics;
mod pipelines;
mod progress;
mod project;
mod query;
mod replays;
mod report;
mod retrieval;
mod rollouts;
mod series;
mod show;
mod simulation;
mod storage;
mod subjects;
mod waterfall;
mod workflow;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{CommandFactory, Parser, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use self::progress::Bar;
pub use self::workflow::seconds;
use crate::backups::restore;
use crate::client::{Client, Target};
use crate::{config, explain, reference, wiring};

/// Launches generative-AI applications into production and keeps them good there.
#[derive(Debug, Parser)]
#[command(name = "groundcrew", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a new project that works as it is.
    Init {
        /// Where; made if missing.
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Serve: the apps to their clients, and this command line.
    Up {
        /// Listen off loopback without TLS (behind a proxy that terminates it).
        #[arg(long)]
        insecure_http: bool,
    },
    /// Apply the project: files become artifact versions and candidate releases.
    Apply {
        /// The project's directory.
        #[arg(default_value = ".")]
        directory: PathBuf,
        /// Only look for mistakes; needs no server.
        #[arg(long)]
        check: bool,
        /// Remove what the files no longer define.
        #[arg(long)]
        prune: bool,
        /// Why.
        #[arg(long, short = 'm', default_value = "")]
        reason: String,
        /// The generation of the project that the files were read against.
        #[arg(long)]
        generation: Option<u64>,
    },
    /// Ask an app.
    Ask {
        /// The app: `support`, or `support@dev`.
        app: String,
        /// The question.
        question: String,
    },
    /// How the server and its apps are.
    Status,
    /// Releases: what they pin and where they are live.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Pipelines: from a commit to production, for CI.
    #[command(subcommand)]
    Pipeline(pipelines::PipelineCommand),
    /// Rollouts: how a release takes over, step by step, and what was seen of it.
    #[command(subcommand)]
    Rollout(rollouts::RolloutCommand),
    /// Experiments: which of several releases is better, and how sure that is.
    #[command(subcommand)]
    Experiment(experiments::ExperimentCommand),
    /// Knowledge: what grounds answers.
    #[command(subcommand)]
    Knowledge(KnowledgeCommand),
    /// Models that run in the server.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Evaluations: suites of cases, asked of a release, and what came of it.
    #[command(subcommand)]
    Eval(evaluations::EvalCommand),
    /// Workflows: long pieces of work, step by step.
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
    /// Storage: what is kept, why, and what goes.
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Traces: what produced an answer.
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Alarms: how they stand, how they changed, and what one would have done.
    #[command(subcommand)]
    Alarm(alarms::AlarmCommand),
    /// Service-level objectives and their error budgets.
    #[command(subcommand)]
    Slo(alarms::SloCommand),
    /// Query telemetry: traces, logs, scores, metrics.
    Query(query::QueryArguments),
    /// Metrics: what is counted.
    #[command(subcommand)]
    Metrics(series::MetricsCommand),
    /// Top contributors: who or what causes most of something.
    #[command(subcommand)]
    Contributors(series::ContributorsCommand),
    /// Why an app is slow or fails: what changed, what happened just before, what traces wait for.
    Diagnose(diagnosis::DiagnoseArguments),
    /// Every answer, user and conversation that a document, passage, snapshot, release or prompt
    /// touched.
    BlastRadius(subjects::BlastArguments),
    /// What was recorded.
    #[command(subcommand)]
    Telemetry(subjects::TelemetryCommand),
    /// Backups of the installation: taken, proved, restored.
    #[command(subcommand)]
    Backup(backups::BackupCommand),
    /// Keys of users and service accounts.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Tenants of the installation.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Users and service accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// What an error code means and what to do about it.
    Explain {
        /// The code, as `GC0102`.
        code: String,
    },
    /// Write the reference pages and the schemas of all files.
    #[command(hide = true)]
    Reference {
        /// Where; made if missing.
        directory: PathBuf,
    },
    /// Read documents for the server, each under limits.
    #[command(hide = true)]
    ExtractDocument {
        /// The bytes of memory that this process gives itself.
        memory: u64,
        /// The seconds of processor time that each document is given.
        seconds: u64,
    },
    /// Completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Whether a long piece of work is waited for.
#[derive(Debug, clap::Args)]
struct Waiting {
    /// Do not wait: print the execution that does it, for `workflow show` and `workflow watch`.
    #[arg(long)]
    no_wait: bool,
}

impl Waiting {
    /// Has a long piece of work done, and prints what came of it or who does it.
    async fn post(
        &self,
        client: &Client,
        (path, body): (&str, Value),
        out: &show::Output,
        shown: impl FnOnce(&Value) -> String,
    ) -> Result<()> {
        let query = [("wait", !self.no_wait)];
        let request = client.request(Method::POST, path).query(&query).json(&body);
        let bar = if self.no_wait { None } else { Bar::new(out, "waiting until it is done") };
        let answer = client.send(request).await?;
        drop(bar);
        match self.no_wait {
            true => out.value(&answer, |begun| show::text(&begun["execution"])),
            false => out.value(&answer, shown),
        }
    }
}

#[derive(Debug, Subcommand)]
enum ReleaseCommand {
    /// An app's releases, newest first.
    List {
        /// The app.
        app: String,
    },
    /// One release: what fills its slots, who proposed it.
    Show {
        /// The app.
        app: String,
        /// A change, a sequence number or a digest.
        release: String,
    },
    /// What differs between two releases, down to the text.
    Diff {
        /// The app.
        app: String,
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Make what fills an app's slots now a candidate release, unless its newest one has the same.
    Propose {
        /// The app.
        app: String,
        /// Why.
        #[arg(long, short = 'm', default_value = "")]
        reason: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Make a release the stable one of an environment, or begin to roll it out where the app's
    /// rules say how.
    Promote {
        /// The app.
        app: String,
        /// The release; the newest candidate if absent.
        release: Option<String>,
        /// The environment.
        #[arg(long)]
        env: String,
        /// At once, whatever the rules say. A rollout of it that is under way ends with it.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// How a release stands before the gates of an environment, and why.
    Gates(gates::GatesArguments),
    /// Say that a release is good, where a gate asks for approvals. Nobody decides on their own.
    Approve(gates::ApproveArguments),
    /// Let a gate not count for a release, until a moment and for a reason.
    Waive(gates::WaiveArguments),
    /// Keep the weights of the rollout that is under way as they are.
    Pause(rollouts::SteerArguments),
    /// Let a paused rollout go on.
    Resume(rollouts::SteerArguments),
    /// Stop the rollout that is under way; its release is not held.
    Abort(rollouts::SteerArguments),
    /// Return an environment to an earlier release, all slots at once; where a rollout is under way,
    /// take its release back.
    Rollback {
        /// The app.
        app: String,
        /// The environment.
        #[arg(long)]
        env: String,
        /// The release; the one that was stable before if absent.
        #[arg(long)]
        to: Option<String>,
        /// Why.
        #[arg(long, short = 'm', default_value = "")]
        reason: String,
    },
    /// Hold a release: automation does not promote it until a person clears that.
    Hold(HoldArguments),
    /// Let automation promote a held release again.
    Unhold(HoldArguments),
    /// From a commit to production and out again: who changed what, on which evidence it went live,
    /// when, and until when.
    Record {
        /// The app.
        app: String,
        /// A change, a sequence number or a digest.
        release: String,
    },
    /// Take an artifact, what was made from it, and every release that uses these out of use.
    Quarantine(rollouts::QuarantineArguments),
    /// What was live when.
    History {
        /// The app.
        app: String,
        /// The environment.
        #[arg(long)]
        env: String,
        /// What was live at this moment (RFC 3339).
        #[arg(long)]
        at: Option<String>,
    },
}

/// A release that is to be held, or not to be held any more.
#[derive(Debug, clap::Args)]
struct HoldArguments {
    /// The app.
    app: String,
    /// A change, a sequence number or a digest.
    release: String,
    /// The environment.
    #[arg(long, visible_alias = "environment")]
    env: String,
    /// Why.
    #[arg(long, short = 'm')]
    reason: String,
}

#[derive(Debug, Subcommand)]
enum KnowledgeCommand {
    /// Read the sources anew; what changed becomes a candidate release.
    Refresh(report::RefreshArguments),
    /// What a batch did: each document and why, what was not read, the gates, the proposals.
    Report(report::ReportArguments),
    /// How fresh it is wherever it serves: what waits, how long, and what is promised.
    Freshness {
        /// The knowledge base (default: each).
        name: Option<String>,
    },
    /// Make a link that starts a refresh, for the push hook of a git forge and the like.
    RefreshLink(freshness::LinkArguments),
    /// Its batches, the newest first.
    Batches {
        /// The knowledge base.
        name: String,
    },
    /// What was the newest snapshot at a moment.
    At(batches::AtArguments),
    /// What is different between the snapshots of two batches.
    Diff(batches::DiffArguments),
    /// Make a snapshot without a document or a batch the newest; nothing is read anew.
    Excise(batches::ExciseArguments),
    /// Erase documents from everything that was ever made of them, backups included.
    Erase(erasures::EraseArguments),
    /// Its erasures, the newest first.
    Erasures {
        /// The knowledge base.
        name: String,
    },
    /// Let an erased document come back, when its source has it or it is put again.
    Admit(erasures::AdmitArguments),
    /// Rewrite its segments, without what counts no more; nothing is read or embedded anew.
    Compact(storage::CompactArguments),
    /// Make the snapshot of an earlier batch or moment the newest again, without what was taken out
    /// since. The next refresh brings what the sources have then.
    Restore(batches::RestoreArguments),
    /// The knowledge bases, their newest snapshots, and how fresh they are.
    Status,
    /// Put documents into a knowledge base that takes them, for its next refresh.
    Put {
        /// The knowledge base.
        name: String,
        /// The files; each is put under its name as it is given.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Put a single file under this path instead.
        #[arg(long)]
        path: Option<String>,
        /// What kind of content they are, as `text/html`; their endings tell else.
        #[arg(long)]
        media_type: Option<String>,
    },
    /// Remove documents that were put into a knowledge base.
    Remove {
        /// The knowledge base.
        name: String,
        /// The documents' paths.
        #[arg(required = true)]
        paths: Vec<String>,
    },
    /// The documents that were put into a knowledge base.
    Documents {
        /// The knowledge base.
        name: String,
        /// Only those after this path.
        #[arg(long)]
        after: Option<String>,
    },
    /// What a question would retrieve.
    Search(retrieval::SearchArguments),
    /// How well it finds what is relevant: hits, MRR, nDCG and recall of each mode.
    Evaluate(retrieval::EvaluateArguments),
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Check a sentence transformer's files and keep them, so that knowledge bases can use it.
    Import(retrieval::ImportArguments),
}

#[derive(Debug, Subcommand)]
enum TraceCommand {
    /// The newest answers.
    List {
        /// Only of this app.
        #[arg(long)]
        app: Option<String>,
        /// Only of this environment.
        #[arg(long)]
        env: Option<String>,
        /// Only with this outcome: answered, blocked, cancelled or failed.
        #[arg(long)]
        outcome: Option<String>,
        /// Only since this moment (RFC 3339).
        #[arg(long)]
        since: Option<String>,
        /// Only those that were grounded on this document: who was told what it says.
        #[arg(long)]
        document: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One answer: what produced it.
    Show {
        /// The trace's id, from the header `x-groundcrew-trace`.
        trace: String,
    },
    /// Answer a recorded request again by a release, and show both answers side by side.
    Replay(replays::ReplayArguments),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key; its secret is shown once.
    Create {
        /// Whose: `user:NAME` or `service:NAME`.
        principal: String,
        /// When it ends (RFC 3339).
        #[arg(long)]
        expires: Option<String>,
        /// Make an access-key pair, for boto3 and the AWS CLI.
        #[arg(long)]
        aws: bool,
    },
    /// The keys.
    List,
    /// Revoke a key.
    Revoke {
        /// The key's id.
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Make a tenant.
    Create {
        /// Its name.
        name: String,
    },
    /// The tenants.
    List,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user or a service account.
    Create {
        /// `user:NAME` or `service:NAME`.
        principal: String,
        /// What it is there for: admin, engineer, operator, viewer or client.
        #[arg(long)]
        role: String,
        /// It belongs to the whole installation rather than to the tenant.
        #[arg(long)]
        installation: bool,
    },
    /// The users and service accounts.
    List,
}

/// What was asked could be told, but does not pass: how the command ends, and why.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Refused {
    code: u8,
    why: String,
}

/// Runs a command: 0 done, 1 failed, 2 used wrongly (as clap has it), others as the command says.
pub fn run(cli: Cli) -> ExitCode {
    // It confines itself, so nothing else may have been started.
    if let Command::ExtractDocument { memory, seconds } = cli.command {
        return match knowledge::serve_documents(memory, seconds) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    let filter =
        EnvFilter::try_from_env("GROUNDCREW_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::error!("a crypto provider was installed already");
    }
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(execute(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failed(&format_args!("{error:#}"));
            ExitCode::from(ended(&error))
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    // Nothing can be done if even this cannot be written.
    let _unwritten = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

/// How a command ends that failed.
fn ended(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Refused>().map_or(1, |refused| refused.code)
}

async fn execute(cli: Cli) -> Result<()> {
    let Cli { command, target, json } = cli;
    let out = show::Output { json };
    match command {
        Command::Init { directory } => project::init(&directory, &out),
        Command::Up { insecure_http } => {
            wiring::up(server_file(&target)?, &target.base(), insecure_http).await
        }
        Command::Backup(backups::BackupCommand::Restore(asked)) => {
            let restored = restore(&server_file(&target)?, &target.base(), asked).await?;
            out.value(&restored, backups::restored)
        }
        Command::Explain { code } => match explain::page(&code) {
            Some(page) => {
                let told = json!({"code": code.to_uppercase(), "page": page});
                out.value(&told, |_| page.to_owned())
            }
            None => {
                let known: Vec<_> = explain::codes().collect();
                bail!("there is no code `{code}`; there are {}", known.join(", "))
            }
        },
        Command::Reference { directory } => reference::write(&directory),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "groundcrew", &mut script);
            let script = String::from_utf8_lossy(&script);
            out.value(&json!({"script": script}), |_| script.to_string())
        }
        Command::Workflow(command) => workflow::run(&command, || Client::new(&target), &out).await,
        Command::Alarm(command) => alarms::run(command, || Client::new(&target), &out).await,
        Command::Pipeline(pipelines::PipelineCommand::Run(asked)) => {
            pipelines::run(asked, &|| Client::new(&target), &out).await
        }
        Command::Rollout(rollouts::RolloutCommand::Simulate(asked)) => {
            simulation::run(&asked, &out)
        }
        Command::Experiment(command) => {
            experiments::run(command, || Client::new(&target), &out).await
        }
        Command::Apply { directory, check: true, .. } => project::check(&directory, &out),
        command => call(&Client::new(&target)?, command, &out).await,
    }
}

fn server_file(target: &Target) -> Result<config::ServerFile> {
    config::read(&target.config).map_err(files::mistakes)
}

/// The commands that ask the server.
async fn call(client: &Client, command: Command, out: &show::Output) -> Result<()> {
    match command {
        Command::Apply { directory, prune, reason, generation, .. } => {
            project::apply(client, &directory, (generation, reason, prune), out).await
        }
        Command::Ask { app, question } => ask(client, &app, &question, out).await,
        Command::Status => out.value(&client.get("/api/v1/status", &[]).await?, show::status),
        Command::Release(command) => release(client, command, out).await,
        Command::Rollout(command) => rollouts::rollout(client, command, out).await,
        Command::Eval(command) => evaluations::run(client, command, out).await,
        Command::Knowledge(command) => knowledge(client, command, out).await,
        Command::Storage(command) => storage::run(client, command, out).await,
        Command::Models(ModelsCommand::Import(asked)) => {
            retrieval::import(client, asked, out).await
        }
        Command::Trace(command) => trace(client, command, out).await,
        Command::Slo(command) => alarms::objectives(command, client, out).await,
        Command::Query(asked) => query::run(client, asked, out).await,
        Command::Metrics(command) => series::metrics(client, command, out).await,
        Command::Contributors(command) => series::contributors(client, command, out).await,
        Command::Diagnose(asked) => diagnosis::run(client, asked, out).await,
        Command::BlastRadius(asked) => subjects::blast(client, asked, out).await,
        Command::Telemetry(command) => subjects::telemetry(client, command, out).await,
        Command::Backup(command) => backups::call(client, command, out).await,
        Command::Key(command) => key(client, command, out).await,
        Command::Tenant(TenantCommand::Create { name }) => {
            let made = client.post("/api/v1/tenants", &json!({"name": name})).await?;
            out.value(&made, |made| format!("tenant {} made", show::text(&made["name"])))
        }
        Command::Tenant(TenantCommand::List) => {
            out.value(&client.get("/api/v1/tenants", &[]).await?, |rows| show::column(rows, "name"))
        }
        Command::User(UserCommand::Create { principal, role, installation }) => {
            let body = json!({"principal": principal, "role": role, "installation": installation});
            let made = client.post("/api/v1/users", &body).await?;
            out.value(&made, |made| format!("{} made", show::text(&made["id"])))
        }
        Command::User(UserCommand::List) => {
            out.value(&client.get("/api/v1/users", &[]).await?, show::users)
        }
        Command::Init { .. }
        | Command::Up { .. }
        | Command::Explain { .. }
        | Command::Reference { .. }
        | Command::ExtractDocument { .. }
        | Command::Workflow(_)
        | Command::Pipeline(_)
        | Command::Alarm(_)
        | Command::Experiment(_)
        | Command::Completions { .. } => Ok(()),
    }
}

async fn release(client: &Client, command: ReleaseCommand, out: &show::Output) -> Result<()> {
    match command {
        ReleaseCommand::List { app } => {
            let rows = client.get(&format!("/api/v1/apps/{app}/releases"), &[]).await?;
            out.value(&rows, show::releases)
        }
        ReleaseCommand::Show { app, release } => {
            let path = format!("/api/v1/apps/{app}/releases/{}", release.trim_start_matches('#'));
            out.value(&client.get(&path, &[]).await?, show::release)
        }
        ReleaseCommand::Diff { app, from, to } => {
            let query = [("from", from), ("to", to)];
            let diff = client.get(&format!("/api/v1/apps/{app}/diff"), &query).await?;
            out.value(&diff, show::diff)
        }
        ReleaseCommand::Propose { app, reason, waiting } => {
            let path = format!("/api/v1/apps/{app}/propose");
            let asked = (path.as_str(), json!({"reason": reason}));
            waiting.post(client, asked, out, show::proposed).await
        }
        ReleaseCommand::Promote { app, release, env, now, waiting } => {
            let path = format!("/api/v1/apps/{app}/environments/{env}/promote");
            let asked = (path.as_str(), json!({"release": release, "now": now}));
            waiting.post(client, asked, out, show::moved).await
        }
        ReleaseCommand::Gates(asked) => gates::gates(client, asked, out).await,
        ReleaseCommand::Approve(asked) => gates::approve(client, asked, out).await,
        ReleaseCommand::Waive(asked) => gates::waive(client, asked, out).await,
        ReleaseCommand::Pause(asked) => rollouts::steer(client, "pause", asked, out).await,
        ReleaseCommand::Resume(asked) => rollouts::steer(client, "resume", asked, out).await,
        ReleaseCommand::Abort(asked) => rollouts::steer(client, "abort", asked, out).await,
        ReleaseCommand::Hold(asked) => hold(client, "hold", asked, out).await,
        ReleaseCommand::Unhold(asked) => hold(client, "clear-hold", asked, out).await,
        ReleaseCommand::Record { app, release } => {
            rollouts::record(client, (&app, &release), out).await
        }
        ReleaseCommand::Quarantine(asked) => rollouts::quarantine(client, asked, out).await,
        ReleaseCommand::Rollback { app, env, to, reason } => {
            let path = format!("/api/v1/apps/{app}/environments/{env}/rollback");
            let body = json!({"release": to, "reason": reason});
            out.value(&client.post(&path, &body).await?, show::moved)
        }
        ReleaseCommand::History { app, env, at } => {
            let path = format!("/api/v1/apps/{app}/environments/{env}/history");
            let query: Vec<_> = at.into_iter().map(|at| ("at", at)).collect();
            out.value(&client.get(&path, &query).await?, show::history)
        }
    }
}

async fn hold(client: &Client, deed: &str, asked: HoldArguments, out: &show::Output) -> Result<()> {
    let HoldArguments { app, release, env, reason } = asked;
    let path = format!("/api/v1/apps/{app}/environments/{env}/{deed}");
    let body = json!({"release": release.trim_start_matches('#'), "reason": reason});
    out.value(&client.post(&path, &body).await?, show::moved)
}

async fn knowledge(client: &Client, command: KnowledgeCommand, out: &show::Output) -> Result<()> {
    match command {
        KnowledgeCommand::Batches { name } => batches::list(client, &name, out).await,
        KnowledgeCommand::At(asked) => batches::at(client, asked, out).await,
        KnowledgeCommand::Diff(asked) => batches::diff(client, asked, out).await,
        KnowledgeCommand::Excise(asked) => batches::excise(client, asked, out).await,
        KnowledgeCommand::Erase(asked) => erasures::erase(client, asked, out).await,
        KnowledgeCommand::Erasures { name } => erasures::list(client, &name, out).await,
        KnowledgeCommand::Admit(asked) => erasures::admit(client, asked, out).await,
        KnowledgeCommand::Compact(asked) => storage::compact(client, asked, out).await,
        KnowledgeCommand::Restore(asked) => batches::restore(client, asked, out).await,
        KnowledgeCommand::Refresh(asked) => report::refresh(client, asked, out).await,
        KnowledgeCommand::Report(asked) => report::report(client, asked, out).await,
        KnowledgeCommand::Freshness { name } => freshness::show(client, name.as_deref(), out).await,
        KnowledgeCommand::RefreshLink(asked) => freshness::link(client, asked, out).await,
        KnowledgeCommand::Status => freshness::status(client, out).await,
        KnowledgeCommand::Put { name, files, path, media_type } => {
            documents::put(client, (&name, &files), (path, media_type), out).await
        }
        KnowledgeCommand::Remove { name, paths } => {
            documents::remove(client, &name, &paths, out).await
        }
        KnowledgeCommand::Documents { name, after } => {
            let query: Vec<_> = after.into_iter().map(|after| ("after", after)).collect();
            let listed = client.get(&documents::route(&name), &query).await?;
            out.value(&listed, |rows| show::column(rows, "path"))
        }
        KnowledgeCommand::Search(asked) => retrieval::search(client, asked, out).await,
        KnowledgeCommand::Evaluate(asked) => retrieval::evaluate(client, asked, out).await,
    }
}

async fn trace(client: &Client, command: TraceCommand, out: &show::Output) -> Result<()> {
    match command {
        TraceCommand::List { app, env, outcome, since, document, limit } => {
            let given = [
                ("app", app),
                ("environment", env),
                ("outcome", outcome),
                ("since", since),
                ("document", document),
            ];
            let query = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let query: Vec<_> = query.chain([("limit", limit.to_string())]).collect();
            out.value(&client.get("/api/v1/traces", &query).await?, show::traces)
        }
        TraceCommand::Show { trace } => {
            out.value(&client.get(&format!("/api/v1/traces/{trace}"), &[]).await?, show::trace)
        }
        TraceCommand::Replay(asked) => replays::replay(client, asked, out).await,
    }
}

async fn key(client: &Client, command: KeyCommand, out: &show::Output) -> Result<()> {
    match command {
        KeyCommand::Create { principal, expires, aws } => {
            let body = json!({"principal": principal, "expires_at": expires, "aws": aws});
            let made = client.post("/api/v1/keys", &body).await?;
            out.value(&made, show::key_made)
        }
        KeyCommand::List => out.value(&client.get("/api/v1/keys", &[]).await?, show::keys),
        KeyCommand::Revoke { key } => {
            let revoked = client.delete(&format!("/api/v1/keys/{key}")).await?;
            out.value(&revoked, |revoked| format!("key {} revoked", show::text(&revoked["id"])))
        }
    }
}

async fn ask(client: &Client, app: &str, question: &str, out: &show::Output) -> Result<()> {
    let body = json!({"model": app, "messages": [{"role": "user", "content": question}]});
    let request = client.request(Method::POST, "/v1/chat/completions").json(&body);
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let (trace, release) = (header("x-groundcrew-trace"), header("x-groundcrew-release"));
    let status = response.status();
    let mut answer: Value = response.json().await.map_err(reqwest::Error::without_url)?;
    if !status.is_success() {
        bail!("{}", answer["error"]["message"].as_str().unwrap_or("the server said no"));
    }
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("trace".to_owned(), trace.into());
        answer.insert("release".to_owned(), release.into());
    }
    out.value(&answer, show::answer)
}
