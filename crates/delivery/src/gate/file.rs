//! `[[delivery.environments.NAME.gates]]` of an app's file.

use release::{ArtifactName, Currency, EnvironmentName, PrincipalId, SlotName};
use schemars::JsonSchema;
use security::Role;
use security::guardrails::Entity;
use serde::{Deserialize, Serialize};

use super::window;

/// The most approvals that a gate may ask for.
const MOST_APPROVALS: usize = 20;
/// The most bytes of a gate's name.
const MOST_NAME: usize = 80;
/// The most hours that a gate may count.
const MOST_HOURS: u64 = 24 * 366;

/// Makes the kinds of gates: each has keys of its own besides those that all have.
macro_rules! gates {
    ($(
        $(#[$about:meta])*
        $kind:ident($spec:ident) { $($(#[$key:meta])* $field:ident: $type:ty,)* }
    )*) => {
        /// A gate: what a release must pass before it may enter the environment.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum GateFile {
            $($(#[$about])* $kind($spec),)*
        }

        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $spec {
                /// What it is called: unique in its environment (default: its kind).
                #[serde(default)]
                pub name: Option<String>,
                /// It applies only if one of these slots is filled by something else than in the
                /// stable release (default: always).
                #[serde(default)]
                pub slots: Vec<SlotName>,
                $($(#[$key])* pub $field: $type,)*
            }
        )*

        impl GateFile {
            /// What it is called.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$kind(spec) => spec.name.as_deref().unwrap_or(self.kind()),)*
                }
            }

            /// The slots that select it; none if it always applies.
            pub fn slots(&self) -> &[SlotName] {
                match self {
                    $(Self::$kind(spec) => &spec.slots,)*
                }
            }
        }
    };
}

gates! {
    /// The newest run of a suite by the release passes, and is no worse than that of the release that
    /// is stable there.
    Eval(EvalGate) {
        /// The suite: a file in `evals/`.
        suite: ArtifactName,
        /// By how much of its passes it may be worse, as a share.
        #[serde(default = "a_twentieth")]
        margin: f64,
    }

    /// People say that the release is good: nobody who has a part in it, and each counts once.
    Approval(ApprovalGate) {
        /// How many of them.
        #[serde(default = "one")]
        approvals: usize,
        /// Who may, as `user:NAME`; with `roles`, either counts (default: whoever may approve
        /// releases at all).
        #[serde(default)]
        #[schemars(with = "Vec<String>", inner(regex(pattern = r"^user:[A-Za-z0-9._@+-]{1,120}$")))]
        from: Vec<PrincipalId>,
        /// The roles whose people may.
        #[serde(default)]
        roles: Vec<Role>,
        /// After how many hours an approval, or a denial, no longer counts.
        #[serde(default = "three_days")]
        expires_hours: u64,
    }

    /// The release has been the stable one of an earlier environment without interruption.
    Soak(SoakGate) {
        /// Where.
        environment: EnvironmentName,
        /// For how many hours.
        hours: f64,
    }

    /// The calendar allows it now.
    Window(WindowGate) {
        /// The days on which it opens (default: all).
        #[serde(default)]
        days: Vec<Day>,
        /// When it opens, as `09:00`.
        #[serde(default = "midnight")]
        #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
        from: String,
        /// When it closes. If that is not after `from` it is on the next day.
        #[serde(default = "midnight")]
        #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
        until: String,
        /// The time zone of all its times, by its name in the tz database.
        #[serde(default = "utc")]
        zone: String,
        /// When it is closed all the same.
        #[serde(default)]
        except: Vec<Freeze>,
    }

    /// Answers of the release have not cost more than this on average.
    Budget(BudgetGate) {
        /// The most that a request may cost on average, in whole units of the currency.
        per_request: f64,
        /// The currency, by its code.
        #[serde(default = "dollar")]
        #[schemars(with = "String", regex(pattern = "^[A-Z]{3}$"))]
        currency: Currency,
        /// The environment in which they were given.
        r#in: EnvironmentName,
        /// Over how many of the last hours.
        #[serde(default = "a_day")]
        hours: u64,
        /// With fewer answers it is inconclusive.
        #[serde(default = "twenty")]
        fewest: u64,
    }

    /// The newest drill of a backup found no fault, and is not older than this.
    Drill(DrillGate) {
        /// Within how many days.
        within_days: u64,
    }

    /// Nothing is found in what the release says: prompt, guardrails and configuration.
    Scan(ScanGate) {
        /// What is looked for.
        #[serde(default = "every_check")]
        checks: Vec<Check>,
        /// What counts as personal (default: everything that guardrails know).
        #[serde(default = "personal")]
        entities: Vec<Entity>,
        /// Texts that are meant to be there, exactly as they stand.
        #[serde(default)]
        allow: Vec<String>,
        /// With `jailbreak`: which share of the attempts may come through.
        #[serde(default = "a_twentieth", skip_serializing_if = "is_a_twentieth")]
        most_through: f64,
        /// With `model_files`: whether a model may be pinned by its name alone.
        #[serde(default, skip_serializing_if = "ByName::is_default")]
        by_name: ByName,
        /// With `model_files`: the licences that models may have, by their SPDX identifiers (default:
        /// any, also none).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        licences: Vec<String>,
        /// A function of `server.toml` that is given the release and has the last word.
        #[serde(default)]
        command: Option<String>,
        /// For how many hours what the function said of a release is kept.
        #[serde(default = "a_day")]
        keep_hours: u64,
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "days")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time in which nothing enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its beginning, as `2026-12-20` or `2026-12-20T18:00`.
    pub from: String,
    /// Its end; a day is frozen to its end.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// What a scan looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Keys and tokens of well-known forms, and names of secrets with a random-looking value.
    Secrets,
    /// Personal data, with their checksums.
    PersonalData,
    /// Sentences of a prompt that take instructions from data, and variables that stand in it
    /// without quotes around them.
    Injection,
    /// Attempts at prompt injection and jailbreaks that come through: by the newest evaluation of
    /// the release by the suite `jailbreak`, which every project has.
    Jailbreak,
    /// Files of models that are not what was pinned, and licences that are not allowed.
    ModelFiles,
}

/// Whether a model may be pinned by its name alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByName {
    /// It may: there are no files of it to look at.
    #[default]
    Allow,
    /// It may not.
    Refuse,
}

impl ByName {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl GateFile {
    /// Its kind, as files have it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Eval(_) => "eval",
            Self::Approval(_) => "approval",
            Self::Soak(_) => "soak",
            Self::Window(_) => "window",
            Self::Budget(_) => "budget",
            Self::Drill(_) => "drill",
            Self::Scan(_) => "scan",
        }
    }

    /// The earlier environment that it looks at: its key, and which.
    pub fn looks_at(&self) -> Option<(&'static str, &EnvironmentName)> {
        match self {
            Self::Soak(gate) => Some(("environment", &gate.environment)),
            Self::Budget(gate) => Some(("in", &gate.r#in)),
            Self::Eval(_)
            | Self::Approval(_)
            | Self::Window(_)
            | Self::Drill(_)
            | Self::Scan(_) => None,
        }
    }

    /// Whether it can be followed.
    ///
    /// # Errors
    /// The first mistake: the key, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let hours = |key, hours: u64| match (1..=MOST_HOURS).contains(&hours) {
            true => Ok(()),
            false => Err((key, format!("hours are 1 to {MOST_HOURS}, not {hours}"))),
        };
        let name = self.name();
        if name.is_empty() || name.len() > MOST_NAME || name.chars().any(char::is_control) {
            return Err((
                "name",
                format!("a name has 1 to {MOST_NAME} bytes, all of them printable"),
            ));
        }
        let known = [
            SlotName::MODEL,
            SlotName::PROMPT,
            SlotName::KNOWLEDGE,
            SlotName::GUARDRAILS,
            SlotName::CONFIG,
        ];
        if let Some(slot) = self.slots().iter().find(|slot| !known.contains(slot)) {
            let known = known.map(|slot| format!("`{slot}`")).join(", ");
            return Err(("slots", format!("there is no slot `{slot}`: they are {known}")));
        }
        match self {
            Self::Eval(gate) if !(gate.margin > 0.0 && gate.margin < 1.0) => {
                Err(("margin", "a margin is between 0 and 1".to_owned()))
            }
            Self::Approval(gate) => {
                let most = match (&gate.from, &gate.roles) {
                    (from, roles) if !from.is_empty() && roles.is_empty() => from.len(),
                    _ => MOST_APPROVALS,
                };
                if !(1..=most).contains(&gate.approvals) {
                    let why = format!("{} approvals of {most} at most", gate.approvals);
                    return Err(("approvals", why));
                }
                hours("expires_hours", gate.expires_hours)
            }
            Self::Soak(gate) if !(gate.hours > 0.0 && gate.hours <= MOST_HOURS as f64) => {
                let why = format!("hours are more than 0 and at most {MOST_HOURS}");
                Err(("hours", why))
            }
            Self::Window(gate) => window::Calendar::read(gate).map(drop),
            Self::Budget(gate) if !(gate.per_request > 0.0 && gate.per_request <= 1e6) => {
                Err(("per_request", "a request costs more than 0 and at most 1,000,000".to_owned()))
            }
            Self::Budget(gate) => hours("hours", gate.hours),
            Self::Drill(gate) if !(1..=366).contains(&gate.within_days) => {
                Err(("within_days", "days are 1 to 366".to_owned()))
            }
            Self::Scan(gate) if gate.checks.is_empty() && gate.command.is_none() => {
                Err(("checks", "it looks for nothing: name a check or a command".to_owned()))
            }
            Self::Scan(gate) if !(gate.most_through >= 0.0 && gate.most_through < 1.0) => {
                Err(("most_through", "a share is at least 0 and less than 1".to_owned()))
            }
            Self::Scan(gate) => hours("keep_hours", gate.keep_hours),
            Self::Eval(_) | Self::Soak(_) | Self::Drill(_) => Ok(()),
        }
    }
}

const fn a_twentieth() -> f64 {
    0.05
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks it so")]
fn is_a_twentieth(share: &f64) -> bool {
    *share == a_twentieth()
}

const fn one() -> usize {
    1
}

const fn twenty() -> u64 {
    20
}

const fn a_day() -> u64 {
    24
}

const fn three_days() -> u64 {
    72
}

fn midnight() -> String {
    "00:00".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn dollar() -> Currency {
    Currency::USD
}

fn every_check() -> Vec<Check> {
    vec![Check::Secrets, Check::PersonalData, Check::Injection]
}

fn personal() -> Vec<Entity> {
    vec![Entity::CreditCard, Entity::Iban, Entity::Email, Entity::Phone, Entity::UsSsn]
}

#[cfg(test)]
mod tests;
