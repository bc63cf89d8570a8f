//! A batch of logical transactions in few statements, each over many rows.
//!
//! A statement is a round trip to the server, and row by row they are what a commit waits for. So a
//! batch that only writes records and appends events is first tried as a whole: if every record is
//! as its transaction expects, nothing has to be taken back and no savepoint is needed. If one is
//! not, the batch is rolled back and run with savepoints, as any other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres as Database, Row};

use super::Outcomes;
use crate::batch::{Done, Job, Work, nanoseconds};
use crate::transaction::Step;
use crate::{Committed, Expect, StoreError, schema};

const INSERT: &str = "INSERT INTO records (scope, collection, key, version, value) \
    SELECT u.scope, u.collection, u.key, 1, u.value \
    FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bytea[]) \
    AS u(scope, collection, key, value) ON CONFLICT DO NOTHING";
const UPSERT: &str = "INSERT INTO records (scope, collection, key, version, value) \
    SELECT u.scope, u.collection, u.key, 1, u.value \
    FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bytea[]) \
    AS u(scope, collection, key, value) ON CONFLICT (scope, collection, key) \
    DO UPDATE SET version = records.version + 1, value = excluded.value";
const UPDATE: &str = "UPDATE records r SET value = u.value, version = r.version + 1 \
    FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[]) \
    AS u(scope, collection, key, value, version) WHERE r.scope = u.scope \
    AND r.collection = u.collection AND r.key = u.key AND r.version = u.version";
/// Entries that are to stay are not touched: `kept` has them as `name=value` in JSON, and no name has
/// a `=`. As a join with the entries themselves it takes most of a batch's time.
const UNINDEX: &str = "DELETE FROM record_index i \
    USING UNNEST($1::text[], $2::text[], $3::text[], $4::text[]) AS u(scope, collection, key, kept) \
    WHERE i.scope = u.scope AND i.collection = u.collection AND i.key = u.key \
    AND NOT u.kept::jsonb ? (i.name || '=' || i.value)";
const INDEX: &str = "INSERT INTO record_index (scope, collection, key, name, value) \
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
    ON CONFLICT DO NOTHING";
const LENGTHEN: &str = "INSERT INTO streams (scope, stream, last) \
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[]) \
    ON CONFLICT (scope, stream) DO UPDATE SET last = streams.last + excluded.last \
    RETURNING scope, stream, last";
const APPEND: &str = "INSERT INTO events \
    (scope, stream, sequence, position, kind, payload, actor, at) \
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], \
    $6::bytea[], $7::text[], $8::bigint[])";

/// Which record: scope, collection, key.
type Place<'a> = (&'a str, &'a str, &'a str);

/// What a batch writes, by kind and in the order of what is locked, so that two servers rarely wait
/// for each other in a circle.
#[derive(Default)]
pub struct Plan<'a> {
    inserts: BTreeMap<Place<'a>, &'a [u8]>,
    upserts: BTreeMap<Place<'a>, &'a [u8]>,
    updates: BTreeMap<Place<'a>, (&'a [u8], u64)>,
    /// Records whose entries are replaced.
    reindexed: BTreeSet<Place<'a>>,
    entries: BTreeSet<(Place<'a>, &'a str, &'a str)>,
    events: Vec<Entry<'a>>,
    jobs: usize,
}

/// An event, and whose it is.
struct Entry<'a> {
    job: usize,
    stream: (&'a str, &'a str),
    kind: &'a str,
    payload: &'a [u8],
    actor: String,
    at: i64,
    global: bool,
}

impl<'a> Plan<'a> {
    /// The plan of a batch; none if its order matters, or if it does anything else.
    pub fn of(jobs: &'a [Job]) -> Option<Self> {
        let mut plan = Self { jobs: jobs.len(), ..Self::default() };
        let mut written = BTreeSet::new();
        for (index, job) in jobs.iter().enumerate() {
            let Work::Commit(transaction) = &job.work else { return None };
            let scope = job.scope.as_str();
            for step in &transaction.steps {
                match step {
                    Step::Put { collection, key, value, expect, indexes } => {
                        let place = (scope, collection.0, key.as_str());
                        if !written.insert(place) {
                            return None;
                        }
                        match expect {
                            Expect::Absent => drop(plan.inserts.insert(place, value)),
                            Expect::Any => drop(plan.upserts.insert(place, value)),
                            Expect::Version(version) => {
                                plan.updates.insert(place, (value, *version));
                            }
                        }
                        if let Some(indexes) = indexes {
                            let entries =
                                indexes.iter().map(|(n, value)| (place, *n, value.as_str()));
                            plan.entries.extend(entries);
                            // What is inserted has no entries yet.
                            if *expect != Expect::Absent {
                                plan.reindexed.insert(place);
                            }
                        }
                    }
                    Step::Append { stream, kind, payload, expected_last: None, global } => {
                        plan.events.push(Entry {
                            job: index,
                            stream: (scope, stream),
                            kind,
                            payload,
                            actor: transaction.actor.to_string(),
                            at: nanoseconds(transaction.at),
                            global: *global,
                        });
                    }
                    _ => return None,
                }
            }
        }
        Some(plan)
    }

    /// Writes it all; none if a record is not as expected, and then all must be rolled back.
    pub async fn run(self, connection: &mut PgConnection) -> Result<Option<Outcomes>, StoreError> {
        for (sql, all) in [(INSERT, &self.inserts), (UPSERT, &self.upserts)] {
            if all.is_empty() {
                continue;
            }
            let (scopes, collections, keys) = places(all.keys());
            let values: Vec<_> = all.values().copied().collect();
            let query = sqlx::query(sql).bind(scopes).bind(collections).bind(keys).bind(values);
            if count(query, connection).await? != all.len() {
                return Ok(None);
            }
        }
        if !self.updates.is_empty() {
            let (scopes, collections, keys) = places(self.updates.keys());
            let values: Vec<_> = self.updates.values().map(|(value, _)| *value).collect();
            let versions = self.updates.values().map(|(_, version)| *version as i64);
            let query = sqlx::query(UPDATE).bind(scopes).bind(collections).bind(keys);
            let query = query.bind(values).bind(versions.collect::<Vec<_>>());
            if count(query, connection).await? != self.updates.len() {
                return Ok(None);
            }
        }
        self.index(connection).await?;
        self.append(connection).await.map(Some)
    }

    async fn index(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if !self.reindexed.is_empty() {
            let mut kept: BTreeMap<&Place<'_>, Vec<String>> = BTreeMap::new();
            for (place, name, value) in &self.entries {
                kept.entry(place).or_default().push(format!("{name}={value}"));
            }
            let kept =
                self.reindexed.iter().map(|place| json!(kept.get(place).unwrap_or(&Vec::new())));
            let kept: Vec<_> = kept.map(|kept| kept.to_string()).collect();
            let (scopes, collections, keys) = places(self.reindexed.iter());
            let query = sqlx::query(UNINDEX).bind(scopes).bind(collections).bind(keys);
            count(query.bind(kept), connection).await?;
        }
        if !self.entries.is_empty() {
            let (scopes, collections, keys) = places(self.entries.iter().map(|(place, ..)| place));
            let names: Vec<_> = self.entries.iter().map(|(_, name, _)| *name).collect();
            let values: Vec<_> = self.entries.iter().map(|(_, _, value)| *value).collect();
            let query = sqlx::query(INDEX).bind(scopes).bind(collections).bind(keys);
            count(query.bind(names).bind(values), connection).await?;
        }
        Ok(())
    }

    /// Appends the events. Their places in the log are given out last but for themselves, under the
    /// lock of its counter.
    async fn append(self, connection: &mut PgConnection) -> Result<Outcomes, StoreError> {
        let done = || Ok(Done::Committed(Committed::default()));
        let mut outcomes: Vec<_> = (0..self.jobs).map(|_| done()).collect();
        if self.events.is_empty() {
            return Ok((outcomes, None));
        }
        let mut next = self.lengthen(connection).await?;
        let global = self.events.iter().filter(|event| event.global).count() as i64;
        let mut last = None;
        if global > 0 {
            let query = sqlx::query(schema::ADVANCE_LOG).bind(global);
            last = Some(query.fetch_one(&mut *connection).await?.try_get::<i64, _>(0)?);
        }
        let mut position = last.unwrap_or_default() - global;
        let (mut sequences, mut positions) = (Vec::new(), Vec::new());
        for event in &self.events {
            let sequence = next.get_mut(&event.stream);
            let sequence =
                sequence.ok_or_else(|| StoreError::Engine("a stream has no counter".to_owned()))?;
            *sequence += 1;
            sequences.push(*sequence);
            position += i64::from(event.global);
            positions.push(event.global.then_some(position));
            if event.global {
                let position = Some(position as u64);
                outcomes[event.job] = Ok(Done::Committed(Committed { position }));
            }
        }
        let all = || self.events.iter();
        let query = sqlx::query(APPEND)
            .bind(all().map(|event| event.stream.0).collect::<Vec<_>>())
            .bind(all().map(|event| event.stream.1).collect::<Vec<_>>())
            .bind(sequences)
            .bind(positions)
            .bind(all().map(|event| event.kind).collect::<Vec<_>>())
            .bind(all().map(|event| event.payload).collect::<Vec<_>>())
            .bind(all().map(|event| event.actor.as_str()).collect::<Vec<_>>())
            .bind(all().map(|event| event.at).collect::<Vec<_>>());
        count(query, connection).await?;
        Ok((outcomes, last.map(|last| last as u64)))
    }

    /// Makes room in the streams; where each ended before.
    async fn lengthen(
        &self,
        connection: &mut PgConnection,
    ) -> Result<BTreeMap<(&'a str, &'a str), i64>, StoreError> {
        let mut more: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for event in &self.events {
            *more.entry(event.stream).or_default() += 1;
        }
        let query = sqlx::query(LENGTHEN)
            .bind(more.keys().map(|(scope, _)| *scope).collect::<Vec<_>>())
            .bind(more.keys().map(|(_, stream)| *stream).collect::<Vec<_>>())
            .bind(more.values().copied().collect::<Vec<_>>());
        let mut lasts: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in query.fetch_all(&mut *connection).await? {
            lasts.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
        }
        let before = more.into_iter().filter_map(|((scope, stream), count)| {
            let last = lasts.get(&(scope.to_owned(), stream.to_owned()))?;
            Some(((scope, stream), last - count))
        });
        Ok(before.collect())
    }
}

/// The columns of places.
fn places<'a, 'p: 'a>(
    all: impl Iterator<Item = &'a Place<'p>>,
) -> (Vec<&'p str>, Vec<&'p str>, Vec<&'p str>) {
    let (mut scopes, mut collections, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (scope, collection, key) in all {
        scopes.push(*scope);
        collections.push(*collection);
        keys.push(*key);
    }
    (scopes, collections, keys)
}

async fn count(
    query: Query<'_, Database, PgArguments>,
    connection: &mut PgConnection,
) -> Result<usize, StoreError> {
    Ok(query.execute(&mut *connection).await?.rows_affected() as usize)
}
