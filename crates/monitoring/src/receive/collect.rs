//! The attributes of one item: which fill columns, and which are kept as they are.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::aliases::{self, Field};
use super::families::{Families, Family};
use super::limits::{self, MAX_ATTRIBUTES, MAX_COLUMN, MAX_NAME, MAX_VALUE};
use super::messages::Texts;
use super::values;
use crate::attributes as name;
use crate::rows::{Attribute, Origin};

/// What was done to an item to make a row of it.
#[derive(Debug, Default)]
pub struct Marks {
    cut: Vec<String>,
    clock: Vec<String>,
    aliased: bool,
}

impl Marks {
    /// Something was too large.
    pub fn cut(&mut self, what: impl Into<String>) {
        self.cut.push(what.into());
    }

    /// A time was corrected.
    pub fn clock(&mut self, what: String) {
        self.clock.push(what);
    }

    /// Names of another convention were read.
    pub fn alias(&mut self) {
        self.aliased = true;
    }

    /// A text that fits a column.
    pub fn fit(&mut self, column: &str, text: &str, most: usize) -> String {
        let start = limits::start(text, most);
        if start.len() < text.len() {
            self.cut(column);
        }
        start.to_owned()
    }

    fn write(self, attributes: &mut Vec<Attribute>) {
        if self.aliased {
            attributes.push((name::ALIASES.to_owned(), aliases::VERSION.to_string()));
        }
        for (key, mut list) in [(name::CLOCK, self.clock), (name::CUT, self.cut)] {
            if !list.is_empty() {
                list.truncate(16);
                attributes.push((key.to_owned(), list.join(", ")));
            }
        }
    }
}

/// What an attribute is for.
#[derive(Debug, Clone, Copy)]
enum Place {
    Field(Field, u8),
    Family(Family),
    None,
}

/// An attribute with its place.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    key: &'a str,
    value: &'a Value,
    place: Place,
}

impl<'a> Entry<'a> {
    /// Attributes without a value say nothing.
    fn of(pair: &'a KeyValue) -> Option<Self> {
        let key = pair.key.as_str();
        let value = pair.value.as_ref()?.value.as_ref()?;
        let place = match aliases::field(key) {
            Some((field, rank)) => Place::Field(field, rank),
            None => Family::of(key).map_or(Place::None, Place::Family),
        };
        Some(Self { key, value, place })
    }
}

/// The attributes that many items share: their resource's and their scope's.
#[derive(Debug)]
pub struct Shared<'a> {
    entries: Vec<Entry<'a>>,
    scope: Vec<Attribute>,
    /// Whether we made the items ourselves.
    pub own: bool,
}

impl<'a> Shared<'a> {
    pub fn new(resource: Option<&'a Resource>, scope: Option<&'a InstrumentationScope>) -> Self {
        let own = scope.is_some_and(|scope| scope.name == OWN_SCOPE);
        let scoped = scope.map(|scope| scope.attributes.as_slice()).unwrap_or_default();
        let resource = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        let entries = scoped.iter().chain(resource).filter_map(Entry::of).collect();
        let mut named = Vec::new();
        if let Some(scope) = scope.filter(|_| !own) {
            for (key, text) in
                [(name::SCOPE_NAME, &scope.name), (name::SCOPE_VERSION, &scope.version)]
            {
                if !text.is_empty() {
                    named.push((key.to_owned(), limits::start(text, MAX_COLUMN).to_owned()));
                }
            }
        }
        Self { entries, scope: named, own }
    }
}

/// The scope of the spans that the gateway makes.
pub const OWN_SCOPE: &str = "groundcrew";

/// The attributes of one item.
#[derive(Debug)]
pub struct Collected<'a> {
    entries: Vec<Entry<'a>>,
    scope: &'a [Attribute],
    /// Whether we made it ourselves.
    pub own: bool,
    /// By field: the attribute that fills it, its rank, and whether it has been read.
    slots: [Option<(&'a Value, u8, bool)>; Field::COUNT],
    families_read: bool,
    /// What was done to the item.
    pub marks: Marks,
}

impl<'a> Collected<'a> {
    /// The item's own attributes go before those it shares.
    pub fn new(own: impl Iterator<Item = &'a KeyValue>, shared: &'a Shared<'_>) -> Self {
        let mut entries: Vec<_> = own.filter_map(Entry::of).collect();
        entries.extend(&shared.entries);
        let mut slots = [None; Field::COUNT];
        for entry in &entries {
            if let Place::Field(field, rank) = entry.place {
                let slot = &mut slots[field as usize];
                if slot.is_none_or(|(_, held, _)| rank < held) {
                    *slot = Some((entry.value, rank, false));
                }
            }
        }
        let (scope, own, marks) = (shared.scope.as_slice(), shared.own, Marks::default());
        Self { entries, scope, own, slots, families_read: false, marks }
    }

    /// The value that fills a field, and how many names go before its own.
    pub fn value(&self, field: Field) -> Option<(&'a Value, u8)> {
        self.slots[field as usize].map(|(value, rank, _)| (value, rank))
    }

    fn take<T>(&mut self, field: Field, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let slot = self.slots[field as usize].as_mut()?;
        let value = read(slot.0)?;
        slot.2 = true;
        self.marks.aliased |= slot.1 > 0;
        Some(value)
    }

    /// A column of text.
    pub fn text(&mut self, field: Field) -> String {
        let text = self.take(field, |value| Some(values::text(value))).unwrap_or_default();
        self.marks.fit(field.name(), &text, MAX_COLUMN)
    }

    /// A column of counts.
    pub fn count(&mut self, field: Field) -> Option<i64> {
        self.take(field, |value| values::integer(value).filter(|count| *count >= 0))
    }

    /// A column of numbers.
    pub fn number(&mut self, field: Field) -> Option<f64> {
        self.take(field, values::number)
    }

    /// The first of a list, or the text that stands in its place.
    pub fn first(&mut self, field: Field) -> String {
        let first = self.take(field, |value| match value {
            Value::ArrayValue(list) => Some(values::text(list.values.first()?.value.as_ref()?)),
            other => Some(values::text(other)),
        });
        first.unwrap_or_default().into_owned()
    }

    /// Content: it counts as read.
    pub fn content(&mut self, field: Field) -> Option<&'a Value> {
        self.take(field, Some)
    }

    /// JSON that stands as text.
    pub fn json(&mut self, field: Field) -> Option<serde_json::Value> {
        self.take(field, |value| match value {
            Value::StringValue(text) => serde_json::from_str(text).ok(),
            other => Some(values::json(other)),
        })
    }

    /// Where the item comes from.
    pub fn origin(&mut self) -> Origin {
        let service = self.text(Field::Service);
        let named = self.text(Field::App);
        let app = if self.own { service.clone() } else { named };
        let environment = self.text(Field::Environment);
        let mut release = self.text(Field::OwnRelease);
        if release.is_empty() {
            release = self.text(Field::Release);
        }
        Origin { service, app, environment, release }
    }

    /// What others wrote as many numbered attributes.
    pub fn families(&mut self) -> Families<'a> {
        let mut families = Families::default();
        for entry in &self.entries {
            if let Place::Family(family) = entry.place {
                families.add(family, entry.key, entry.value);
            }
        }
        self.families_read = true;
        families
    }

    /// Contents that filled nothing are kept as texts, and the attributes refer to them: the same was
    /// said by a better name, or the item has no place for it.
    pub fn refer(&mut self, texts: &mut Texts<'_>) -> Vec<Attribute> {
        let unread = self.entries.iter().filter(|entry| match entry.place {
            Place::Field(field, rank) => field.is_content() && !self.is_read(field, rank),
            _ => false,
        });
        let unread: Vec<_> = unread.copied().collect();
        let refer = |entry: Entry<'a>| {
            let digest = texts.keep("text", &values::text(entry.value), self);
            (limits::start(entry.key, MAX_NAME).to_owned(), digest.to_string())
        };
        unread.into_iter().map(refer).collect()
    }

    fn is_read(&self, field: Field, rank: u8) -> bool {
        self.slots[field as usize].is_some_and(|(_, held, read)| read && held == rank)
    }

    /// What no column holds, ordered by name, `more` before all others.
    pub fn rest(mut self, more: Vec<Attribute>) -> Vec<Attribute> {
        let more = more.iter().map(|(key, text)| bounded(key, text, &mut self.marks));
        let mut rest: Vec<_> = more.collect();
        for entry in &self.entries {
            let kept = match entry.place {
                // A name of another convention is kept as it came.
                Place::Field(field, rank) => {
                    !field.is_content() && (rank > 0 || !self.is_read(field, rank))
                }
                Place::Family(_) => !self.families_read,
                Place::None => true,
            };
            if kept {
                rest.push(bounded(entry.key, &values::text(entry.value), &mut self.marks));
            }
        }
        rest.extend_from_slice(self.scope);
        // Stable: of several by one name the first counts.
        rest.sort_by(|one, other| one.0.cmp(&other.0));
        rest.dedup_by(|later, first| later.0 == first.0);
        if rest.len() > MAX_ATTRIBUTES {
            self.marks.cut(format!("{} attributes", rest.len() - MAX_ATTRIBUTES));
            rest.truncate(MAX_ATTRIBUTES);
        }
        self.marks.write(&mut rest);
        rest
    }
}

fn bounded(key: &str, text: &str, marks: &mut Marks) -> Attribute {
    let name = limits::start(key, MAX_NAME);
    if name.len() < key.len() || text.len() > MAX_VALUE {
        marks.cut(name);
    }
    (name.to_owned(), limits::start(text, MAX_VALUE).to_owned())
}
