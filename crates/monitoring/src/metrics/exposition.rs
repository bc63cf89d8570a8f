//! Metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0.
//!
//! Names follow OpenTelemetry's rules for Prometheus: `groundcrew.request.duration` in seconds is
//! `groundcrew_request_duration_seconds`, counters end in `_total`. A name that another metric has
//! already gets a number.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use release::{TenantId, Timestamp};

use super::declared::{self, Declared};
use super::rollup::{Instrument, MetricTotals, Total};

/// Labels as they are written, and what they belong to.
type Rows = Vec<(String, Total)>;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What the server measured of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Of which metric.
    pub metric: &'static Declared,
    /// Its dimensions.
    pub labels: BTreeMap<String, String>,
    /// The value; of a counter, what was counted since the start.
    pub value: f64,
}

impl Format {
    /// What a reader wants that sends `accept`: whatever it ranks higher, the text format else.
    pub fn accepted(accept: Option<&str>) -> Self {
        let (mut text, mut open_metrics) = (0.0f64, 0.0f64);
        for range in accept.unwrap_or("*/*").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
            let quality: f64 = quality.trim().parse().unwrap_or(0.0);
            match media.as_str() {
                "application/openmetrics-text" => open_metrics = open_metrics.max(quality),
                "text/plain" | "text/*" | "*/*" => text = text.max(quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The media type of what is written.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes what the server measured of itself, and the totals of tenants, counted since `started`.
pub fn expose(
    format: Format,
    readings: &[Reading],
    tenants: &[(TenantId, Vec<MetricTotals>)],
    started: Timestamp,
) -> String {
    let mut page = Page { format, started, text: String::new(), taken: HashSet::new() };
    let mut platform: BTreeMap<&str, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        platform.entry(reading.metric.name).or_default().push(reading);
    }
    for readings in platform.values() {
        let Some(first) = readings.first() else { continue };
        let family = Family::declared(first.metric);
        let rows = readings.iter().map(|reading| {
            let total = Total { sum: reading.value, last: reading.value, ..Total::default() };
            (labels(None, &reading.labels), total)
        });
        page.family(&family, rows.collect());
    }
    // Metrics of one name belong together, whoever has them.
    let mut families: BTreeMap<(&str, &str), (Family<'_>, Rows)> = BTreeMap::new();
    for (tenant, metrics) in tenants {
        for metric in metrics {
            // The server's own were written already.
            if declared::PLATFORM.iter().any(|declared| declared.name == metric.name) {
                continue;
            }
            let family = Family {
                name: &metric.name,
                unit: &metric.unit,
                instrument: metric.instrument,
                help: declared::find(&metric.name).map_or("", |declared| declared.help),
            };
            let key = (metric.name.as_str(), metric.instrument.as_str());
            let rows = &mut families.entry(key).or_insert_with(|| (family, Vec::new())).1;
            rows.extend(
                metric
                    .series
                    .iter()
                    .map(|series| (labels(Some(tenant), &series.dimensions), series.total.clone())),
            );
        }
    }
    for (family, rows) in families.into_values() {
        page.family(&family, rows);
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// Metrics of one name.
struct Family<'a> {
    name: &'a str,
    unit: &'a str,
    instrument: Instrument,
    help: &'a str,
}

impl Family<'static> {
    fn declared(declared: &'static Declared) -> Self {
        let Declared { name, unit, instrument, help } = declared;
        Self { name, unit, instrument: *instrument, help }
    }
}

struct Page {
    format: Format,
    started: Timestamp,
    text: String,
    /// The names of all samples.
    taken: HashSet<String>,
}

impl Page {
    fn family(&mut self, family: &Family<'_>, mut rows: Vec<(String, Total)>) {
        let unit = unit_suffix(family.unit, family.instrument);
        let name = self.free_name(family, unit.as_deref());
        let suffixes = suffixes(family.instrument);
        // The text format names a counter as its samples.
        let title = match (self.format, family.instrument) {
            (Format::Text, Instrument::Counter) => Cow::from(format!("{name}_total")),
            _ => Cow::from(&name),
        };
        self.taken.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
        if !family.help.is_empty() {
            let help = escape(family.help, self.format == Format::OpenMetrics);
            self.line(format_args!("# HELP {title} {help}"));
        }
        self.line(format_args!("# TYPE {title} {}", family.instrument.as_str()));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, &unit)
            && name.ends_with(&format!("_{unit}"))
        {
            self.line(format_args!("# UNIT {title} {unit}"));
        }
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        // Names of dimensions that differ may be the same as labels.
        rows.dedup_by(|same, kept| {
            let is_same = same.0 == kept.0;
            if is_same {
                kept.1.merge(&same.1);
            }
            is_same
        });
        for (labels, total) in &rows {
            self.samples((&name, family.instrument), labels, total);
        }
    }

    fn samples(&mut self, (name, instrument): (&str, Instrument), labels: &str, total: &Total) {
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        match instrument {
            Instrument::Counter => {
                // What goes down is no counter, and would look like a restart.
                let value = number(total.sum.max(0.0));
                self.line(format_args!("{name}_total{braced} {value}"));
            }
            Instrument::Gauge => {
                self.line(format_args!("{name}{braced} {}", number(total.last)));
                return;
            }
            Instrument::Histogram(bounds) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let mut below = 0;
                for (at, bound) in bounds.iter().enumerate() {
                    below += total.buckets.get(at).copied().unwrap_or(0);
                    let bound = self.bound(*bound);
                    self.line(format_args!(
                        "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"
                    ));
                }
                let count = total.count;
                self.line(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}"));
                self.line(format_args!("{name}_sum{braced} {}", number(total.sum)));
                self.line(format_args!("{name}_count{braced} {count}"));
            }
            Instrument::Summary => {
                self.line(format_args!("{name}_sum{braced} {}", number(total.sum)));
                self.line(format_args!("{name}_count{braced} {}", total.count));
            }
        }
        if self.format == Format::OpenMetrics {
            let created = self.started.as_millisecond() as f64 / 1e3;
            self.line(format_args!("{name}_created{braced} {}", number(created)));
        }
    }

    /// A name that none of whose samples is taken.
    fn free_name(&self, family: &Family<'_>, unit: Option<&str>) -> String {
        let mut base = sanitized(family.name, true);
        if family.instrument == Instrument::Counter
            && let Some(short) = base.strip_suffix("_total")
        {
            base = short.to_owned();
        }
        if let Some(unit) = unit
            && !base.split('_').any(|word| word == unit)
        {
            base = format!("{base}_{unit}");
        }
        let suffixes = suffixes(family.instrument);
        let mut name = base.clone();
        let mut number = 2;
        while suffixes.iter().any(|suffix| self.taken.contains(&format!("{name}{suffix}"))) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }

    /// OpenMetrics writes whole bounds with a fraction, the text format without.
    fn bound(&self, bound: f64) -> String {
        match self.format {
            Format::OpenMetrics => format!("{bound:?}"),
            Format::Text => number(bound),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Text takes whatever is written to it.
        let _fits = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// How the names of an instrument's samples end; of both formats, so that a metric is called the
/// same in both.
fn suffixes(instrument: Instrument) -> &'static [&'static str] {
    match instrument {
        Instrument::Counter => &["", "_total", "_created"],
        Instrument::Gauge => &[""],
        Instrument::Histogram(_) => &["", "_bucket", "_sum", "_count", "_created"],
        Instrument::Summary => &["", "_sum", "_count", "_created"],
    }
}

/// Label names that mean something already.
const RESERVED: [&str; 3] = ["tenant", "le", "quantile"];

/// Labels as they are written between braces, by name. Dimensions whose names become the same are
/// joined.
fn labels(tenant: Option<&TenantId>, dimensions: &BTreeMap<String, String>) -> String {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in dimensions {
        let mut name = sanitized(name, false);
        if RESERVED.contains(&name.as_str()) {
            name = format!("exported_{name}");
        }
        let joined = labels.entry(name).or_default();
        if !joined.is_empty() {
            joined.push(';');
        }
        joined.push_str(value);
    }
    if let Some(tenant) = tenant {
        labels.insert("tenant".to_owned(), tenant.to_string());
    }
    let written = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value, true)));
    written.collect::<Vec<_>>().join(",")
}

/// A name with only what names may have; metrics' may have colons too, but those are for rules.
fn sanitized(name: &str, collapse: bool) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    for character in name.chars() {
        let valid = character.is_ascii_alphanumeric() || character == '_';
        match valid {
            true => out.push(character),
            false if collapse && out.ends_with('_') => {}
            false => out.push('_'),
        }
    }
    if out.is_empty() || out.starts_with(|first: char| first.is_ascii_digit()) {
        out.insert(0, '_');
    }
    // Names of labels that begin with two are Prometheus' own.
    if !collapse && out.starts_with("__") {
        out.insert_str(0, "key");
    }
    out
}

/// A UCUM unit in words; none for plain counts.
fn unit_suffix(unit: &str, instrument: Instrument) -> Option<String> {
    if unit == "1" {
        return (instrument == Instrument::Gauge).then(|| "ratio".to_owned());
    }
    let mut words = Vec::new();
    for (at, part) in unit.split('/').enumerate() {
        // `{token}` is an annotation, not a unit.
        let part = part.split('{').next().unwrap_or_default().trim();
        if part.is_empty() {
            continue;
        }
        if at > 0 {
            words.push("per".to_owned());
        }
        words.push(match in_words(part) {
            Some(word) if at > 0 => word.trim_end_matches('s').to_owned(),
            Some(word) => word.to_owned(),
            None => sanitized(part, true).trim_matches('_').to_owned(),
        });
    }
    words.retain(|word| !word.is_empty());
    (!words.is_empty()).then(|| words.join("_"))
}

fn in_words(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        _ => return None,
    })
}

/// Text as it is written in a label's value, or (without `quotes`) in help of the text format.
fn escape(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return text.into();
    }
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { escaped.replace('"', "\\\"") } else { escaped }.into()
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
