//! Where documents come from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the kinds of sources: each has keys of its own besides those that all have.
macro_rules! sources {
    ($(
        $(#[$about:meta])*
        $kind:ident($spec:ident) { $($(#[$key:meta])* $field:ident: $type:ty,)* }
    )*) => {
        /// Where documents come from.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum SourceSpec {
            $($(#[$about])* $kind($spec),)*
        }

        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $spec {
                /// What it is called: unique in its knowledge base (default: its kind).
                #[serde(default)]
                pub name: Option<String>,
                /// Put before the paths of its documents, as `wiki/`. No two sources may tell of
                /// documents of the same path.
                #[serde(default)]
                pub prefix: String,
                /// How often it is read: `continuous`, `hourly`, `daily`, `weekly`, `monthly`,
                /// `rate(…)` or `cron(…)`; only when asked for if absent.
                #[serde(default)]
                pub tier: Option<Tier>,
                /// How old a change may be before it is served, as `30m`, `6h` or `2d`.
                #[serde(default)]
                pub objective: Option<Objective>,
                $($(#[$key])* pub $field: $type,)*
            }
        )*

        impl SourceSpec {
            /// What it is called.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$kind(spec) => spec.name.as_deref().unwrap_or(self.kind()),)*
                }
            }

            /// What is put before the paths of its documents.
            pub fn prefix(&self) -> &str {
                match self {
                    $(Self::$kind(spec) => &spec.prefix,)*
                }
            }

            /// How often it is read.
            pub fn tier(&self) -> Option<&Tier> {
                match self {
                    $(Self::$kind(spec) => spec.tier.as_ref(),)*
                }
            }

            /// How old a change may be before it is served.
            pub fn objective(&self) -> Option<Objective> {
                match self {
                    $(Self::$kind(spec) => spec.objective,)*
                }
            }
        }
    };
}

sources! {
    /// Files of a directory. Links are not followed.
    Directory(DirectorySpec) {
        /// The directory's name in `server.toml`.
        directory: String,
        /// A path within it.
        #[serde(default)]
        path: String,
        /// Patterns of the files to read, relative to `path`.
        #[serde(default = "texts")]
        include: Vec<String>,
        /// Patterns of files to leave out.
        #[serde(default)]
        exclude: Vec<String>,
    }

    /// Files of a git repository. Links and submodules are left out.
    Git(GitSpec) {
        /// The repository's name in `server.toml`; or `directory`.
        #[serde(default)]
        repository: Option<String>,
        /// The name in `server.toml` of a directory that holds the repository; or `repository`.
        #[serde(default)]
        directory: Option<String>,
        /// The repository's path within the directory.
        #[serde(default)]
        repository_path: String,
        /// The branch or tag (default: the repository's own head).
        #[serde(default)]
        reference: Option<String>,
        /// A path within the repository.
        #[serde(default)]
        path: String,
        /// Patterns of the files to read, relative to `path`.
        #[serde(default = "texts")]
        include: Vec<String>,
        /// Patterns of files to leave out.
        #[serde(default)]
        exclude: Vec<String>,
    }

    /// Objects of an S3-compatible bucket.
    Bucket(BucketSpec) {
        /// The bucket's name in `server.toml`.
        bucket: String,
        /// A folder within it: only keys below it are read.
        #[serde(default)]
        path: String,
        /// Patterns of the objects to read, relative to `path`.
        #[serde(default = "texts")]
        include: Vec<String>,
        /// Patterns of objects to leave out.
        #[serde(default)]
        exclude: Vec<String>,
    }

    /// Pages of a web site. What `robots.txt` forbids is not read.
    Site(SiteSpec) {
        /// Addresses to begin with.
        #[serde(default)]
        start: Vec<String>,
        /// Addresses of sitemaps, or of indexes of sitemaps.
        #[serde(default)]
        sitemaps: Vec<String>,
        /// What the addresses of pages begin with (default: the folders of `start` and `sitemaps`).
        #[serde(default)]
        scope: Vec<String>,
        /// Patterns of the pages to tell of, as `docs/**`: the path without its first `/`, and the
        /// query.
        #[serde(default = "everything")]
        include: Vec<String>,
        /// Patterns of pages not even to read.
        #[serde(default)]
        exclude: Vec<String>,
        /// How many links may lead from the start to a page; 0 follows none.
        #[schemars(range(max = 100))]
        #[serde(default = "depth")]
        max_depth: u32,
        /// How many pages may be read. A site with more is not taken for whole.
        #[schemars(range(min = 1, max = 100_000))]
        #[serde(default = "pages")]
        max_pages: usize,
        /// How many bytes may be read in all.
        #[schemars(range(min = 1))]
        #[serde(default = "bytes")]
        max_bytes: u64,
        /// How long reading it may take, in seconds.
        #[schemars(range(min = 1, max = 86_400))]
        #[serde(default = "crawl_seconds")]
        max_seconds: u64,
        /// How many pages are asked for at once.
        #[schemars(range(min = 1, max = 16))]
        #[serde(default = "at_once")]
        concurrency: usize,
        /// How long to wait between two requests to a host, in milliseconds; a longer `Crawl-delay`
        /// of its `robots.txt` counts instead.
        #[schemars(range(max = 60_000))]
        #[serde(default = "delay")]
        delay_ms: u64,
    }

    /// Rows of a database.
    Sql(SqlSpec) {
        /// The database's name in `server.toml`.
        database: String,
        /// The query: a `SELECT`, which could stand within another.
        query: String,
        /// The column that names a row: its path, with nothing but what `prefix` adds.
        path: String,
        /// The column with the text; or `template`.
        #[serde(default)]
        text: Option<String>,
        /// The text, with columns in braces, as `# {title}` and a line with `{body}`; or `text`.
        #[serde(default)]
        template: Option<String>,
        /// The column that says when a row was changed.
        #[serde(default)]
        modified_at: Option<String>,
        /// What kind of content the text is.
        #[serde(default = "markdown")]
        media_type: String,
        /// How long the database may take for the query, in seconds.
        #[schemars(range(min = 1, max = 3_600))]
        #[serde(default = "query_seconds")]
        max_seconds: u64,
    }

    /// Entries of a feed: RSS or Atom. A feed only adds: what fell out of it stays.
    Feed(FeedSpec) {
        /// Its address.
        url: String,
        /// Whether the pages that its entries link to are read instead of the entries.
        #[serde(default)]
        follow: bool,
    }

    /// Documents that are put through the API. A knowledge base has one such source at most.
    Push(PushSpec) {}
}

impl SourceSpec {
    /// Which kind of source it is, as its file says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Git(_) => "git",
            Self::Bucket(_) => "bucket",
            Self::Site(_) => "site",
            Self::Sql(_) => "sql",
            Self::Feed(_) => "feed",
            Self::Push(_) => "push",
        }
    }
}

fn texts() -> Vec<String> {
    ["**/*.md", "**/*.html", "**/*.txt"].map(str::to_owned).to_vec()
}

fn everything() -> Vec<String> {
    vec!["**".to_owned()]
}

fn depth() -> u32 {
    8
}

fn pages() -> usize {
    1_000
}

fn bytes() -> u64 {
    1 << 30
}

fn crawl_seconds() -> u64 {
    3_600
}

fn at_once() -> usize {
    2
}

fn delay() -> u64 {
    250
}

fn markdown() -> String {
    "text/markdown".to_owned()
}

fn query_seconds() -> u64 {
    300
}

/// How often a source is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tier {
    /// As soon as it is seen to have changed.
    Continuous,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// By a schedule in EventBridge's syntax: `rate(…)` or `cron(…)`.
    Schedule(String),
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let schedule = |text: &str| {
            (text.starts_with("rate(") || text.starts_with("cron(")) && text.ends_with(')')
        };
        Ok(match text {
            "continuous" => Self::Continuous,
            "hourly" => Self::Hourly,
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            "monthly" => Self::Monthly,
            text if schedule(text) => Self::Schedule(text.to_owned()),
            _ => {
                return Err(format!(
                    "`{text}` is no tier: use continuous, hourly, daily, weekly, monthly, rate(…) \
                     or cron(…)"
                ));
            }
        })
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuous => "continuous",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Schedule(text) => text,
        })
    }
}

/// A length of time, as `90s`, `30m`, `6h` or `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Objective(pub Duration);

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time, as `90s`, `30m`, `6h` or `2d`");
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        if count == 0 {
            return Err(wrong());
        }
        Ok(Self(Duration::from_secs(u64::from(count) * unit)))
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        match units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}

/// Reads and writes a type as its text, with the pattern that the text has.
macro_rules! as_text {
    ($type:ident, $pattern:literal, $about:literal) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "pattern": $pattern, "description": $about,
                })
            }
        }
    };
}

as_text!(
    Tier,
    r"^(continuous|hourly|daily|weekly|monthly|rate\(.+\)|cron\(.+\))$",
    "How often a source is read."
);
as_text!(Objective, r"^[1-9][0-9]{0,8}[smhd]$", "A length of time, as `90s`, `30m`, `6h` or `2d`.");

#[cfg(test)]
mod tests;
