//! One logical transaction as statements, the same for both engines.

use std::sync::LazyLock;

use crate::batch::Rejected;
use crate::engine::{Failure, Session, Value, number, only_number, text};
use crate::lease::LeaseChange;
use crate::transaction::{Entry, Operation, RecordName};
use crate::{Committed, Expect, Lease, StoreError, Transaction};

/// An event whose place in the global log is given when its batch is complete.
pub(crate) struct PendingEvent<'w> {
    scope: &'w str,
    transaction: &'w Transaction,
    entry: &'w Entry,
    sequence: u64,
    /// The index of the transaction's outcome in its batch.
    pub outcome: usize,
}

/// Applies `transaction` within the open savepoint; adds what it emits to `events`.
pub(crate) async fn apply<'w, S: Session>(
    session: &mut S,
    scope: &'w str,
    transaction: &'w Transaction,
    events: &mut Vec<PendingEvent<'w>>,
) -> Result<Committed, Rejected> {
    let mut committed = Committed::default();
    for operation in &transaction.operations {
        match operation {
            Operation::Put { record, value, indexes } => {
                let mut target = Target { session: &mut *session, scope, record };
                committed.versions.push(target.put(value, indexes).await?);
            }
            Operation::Delete { record } => {
                Target { session: &mut *session, scope, record }.delete().await?
            }
            Operation::Append(entry) => {
                let sequence = next_sequence(session, scope, entry).await?;
                committed.sequences.push(sequence);
                let event = PendingEvent { scope, transaction, entry, sequence, outcome: 0 };
                if entry.global {
                    events.push(event);
                } else {
                    insert(session, &[event], None).await?;
                }
            }
            Operation::Fence(lease) => check_fence(session, lease).await?,
        }
    }
    Ok(committed)
}

/// The record that an operation changes.
struct Target<'s, S> {
    session: &'s mut S,
    scope: &'s str,
    record: &'s RecordName,
}

impl<S: Session> Target<'_, S> {
    /// Sets the value and the index entries; returns the new version.
    async fn put(
        &mut self,
        value: &[u8],
        indexes: &[(&'static str, String)],
    ) -> Result<u64, Rejected> {
        let entries = indexes.len() as u64;
        let [scope, collection, key] = self.name();
        let values = [scope, collection, key, Value::Blob(value), number(entries)];
        let rows = match self.record.expect {
            Expect::Absent => self.session.query(INSERT, &values).await?,
            Expect::Any => self.session.query(UPSERT, &values).await?,
            Expect::Version(version) => {
                let [scope, collection, key, value, entries] = values;
                let values = [scope, collection, key, value, entries, number(version)];
                self.session.query(UPDATE, &values).await?
            }
        };
        let Some(row) = rows.into_iter().next() else { return Err(self.conflict().await?) };
        let mut cells = row.cells();
        let (version, indexed) = (cells.number()?, cells.number()?);
        if indexed > entries {
            self.session.execute(DELETE_INDEXES, &self.name()).await?;
        }
        for (name, value) in indexes {
            let [scope, collection, key] = self.name();
            let values = [scope, collection, text(name), text(value), key];
            self.session.execute(INSERT_INDEX, &values).await?;
        }
        Ok(version)
    }

    async fn delete(&mut self) -> Result<(), Rejected> {
        let [scope, collection, key] = self.name();
        let rows = match self.record.expect {
            Expect::Version(version) => {
                let values = [scope, collection, key, number(version)];
                let rows = self.session.query(DELETE_VERSION, &values).await?;
                if rows.is_empty() {
                    return Err(self.conflict().await?);
                }
                rows
            }
            Expect::Any | Expect::Absent => {
                self.session.query(DELETE, &[scope, collection, key]).await?
            }
        };
        if !rows.is_empty() && only_number(rows)? > 0 {
            self.session.execute(DELETE_INDEXES, &self.name()).await?;
        }
        Ok(())
    }

    async fn conflict(&mut self) -> Result<Rejected, Rejected> {
        let rows = self.session.query(VERSION, &self.name()).await?;
        let found = rows.into_iter().next().map(|row| row.cells().number()).transpose()?;
        Ok(Rejected::Refused(StoreError::Conflict {
            collection: self.record.collection.0,
            key: self.record.key.clone(),
            expected: self.record.expect,
            found,
        }))
    }

    fn name(&self) -> [Value<'static>; 3] {
        [self.scope, self.record.collection.0, &self.record.key]
            .map(|part| Value::Text(part.to_owned().into()))
    }
}

/// The next sequence of the entry's stream, which stays locked until the commit.
async fn next_sequence<S: Session>(
    session: &mut S,
    scope: &str,
    entry: &Entry,
) -> Result<u64, Rejected> {
    let sequence =
        only_number(session.query(NEXT_SEQUENCE, &[text(scope), text(&entry.stream)]).await?)?;
    match entry.expected_last {
        Some(expected) if expected != sequence - 1 => {
            Err(Rejected::Refused(StoreError::StreamConflict {
                stream: entry.stream.clone(),
                expected,
                found: sequence - 1,
            }))
        }
        _ => Ok(sequence),
    }
}

/// Inserts `events` with their positions, if they have any, several with one statement.
async fn insert<S: Session>(
    session: &mut S,
    events: &[PendingEvent<'_>],
    first_position: Option<u64>,
) -> Result<(), Failure> {
    let mut positions = first_position.into_iter().flat_map(|first| first..);
    for chunk in events.chunks(EVENTS_PER_INSERT) {
        let mut values = Vec::with_capacity(8 * chunk.len());
        for PendingEvent { scope, transaction, entry, sequence, .. } in chunk {
            values.extend([
                positions.next().map_or(Value::Integer(None), number),
                text(scope),
                text(&entry.stream),
                number(*sequence),
                text(&entry.kind),
                Value::Blob(&entry.payload),
                Value::Text(transaction.actor.to_string().into()),
                Value::Text(transaction.at.to_string().into()),
            ]);
        }
        session.execute(&INSERT_EVENTS[chunk.len() - 1], &values).await?;
    }
    Ok(())
}

/// Gives the batch's events their positions; returns the last.
pub(crate) async fn insert_events<S: Session>(
    session: &mut S,
    events: &[PendingEvent<'_>],
) -> Result<Option<u64>, Failure> {
    if events.is_empty() {
        return Ok(None);
    }
    let count = events.len() as u64;
    let last = only_number(session.query(TAKE_POSITIONS, &[number(count)]).await?)?;
    insert(session, events, Some(last + 1 - count)).await?;
    Ok(Some(last))
}

/// Locks the lease's row, so that nobody acquires it before this transaction is done.
async fn check_fence<S: Session>(session: &mut S, lease: &Lease) -> Result<(), Rejected> {
    let values = [text(&lease.name), text(&lease.holder), number(lease.fence)];
    if session.execute(HOLD_LEASE, &values).await? == 1 {
        return Ok(());
    }
    Err(Rejected::Refused(StoreError::LeaseLost { name: lease.name.clone(), fence: lease.fence }))
}

/// Changes a lease; `None` if it is another's.
pub(crate) async fn change_lease<S: Session>(
    session: &mut S,
    change: &LeaseChange,
) -> Result<Option<Lease>, Rejected> {
    match change {
        LeaseChange::Acquire { wanted, now } => {
            let values =
                [text(&wanted.name), text(&wanted.holder), micros(wanted.expires), micros(*now)];
            let rows = session.query(ACQUIRE_LEASE, &values).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            Ok(Some(Lease { fence: only_number(rows)?, ..wanted.clone() }))
        }
        LeaseChange::Renew { lease, now } => {
            let values = [
                text(&lease.name),
                text(&lease.holder),
                number(lease.fence),
                micros(lease.expires),
                micros(*now),
            ];
            let renewed = session.execute(RENEW_LEASE, &values).await?;
            Ok((renewed == 1).then(|| lease.clone()))
        }
        LeaseChange::Release { lease } => {
            let values = [text(&lease.name), text(&lease.holder), number(lease.fence)];
            session.execute(RELEASE_LEASE, &values).await?;
            Ok(None)
        }
    }
}

fn micros(moment: release::Timestamp) -> Value<'static> {
    Value::Integer(Some(moment.as_microsecond()))
}

/// `indexed` counts the index entries ever made, so that a record without any costs no search.
const INSERT: &str = "INSERT INTO records (tenant, collection, key, version, value, indexed) \
    VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT DO NOTHING RETURNING version, indexed";

const UPDATE: &str = "UPDATE records \
    SET version = version + 1, value = ?4, indexed = indexed + ?5 \
    WHERE tenant = ?1 AND collection = ?2 AND key = ?3 AND version = ?6 \
    RETURNING version, indexed";

const UPSERT: &str = "INSERT INTO records (tenant, collection, key, version, value, indexed) \
    VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT (tenant, collection, key) \
    DO UPDATE SET version = records.version + 1, value = excluded.value, \
    indexed = records.indexed + excluded.indexed RETURNING version, indexed";

const DELETE: &str = "DELETE FROM records \
    WHERE tenant = ?1 AND collection = ?2 AND key = ?3 RETURNING indexed";

const DELETE_VERSION: &str = "DELETE FROM records \
    WHERE tenant = ?1 AND collection = ?2 AND key = ?3 AND version = ?4 RETURNING indexed";

const VERSION: &str =
    "SELECT version FROM records WHERE tenant = ?1 AND collection = ?2 AND key = ?3";

const DELETE_INDEXES: &str =
    "DELETE FROM record_indexes WHERE tenant = ?1 AND collection = ?2 AND key = ?3";

const INSERT_INDEX: &str = "INSERT INTO record_indexes (tenant, collection, name, value, key) \
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

const NEXT_SEQUENCE: &str = "INSERT INTO streams (tenant, stream, last) VALUES (?1, ?2, 1) \
    ON CONFLICT (tenant, stream) DO UPDATE SET last = streams.last + 1 RETURNING last";

const EVENTS_PER_INSERT: usize = 16;

/// The statements that insert 1, 2, … [`EVENTS_PER_INSERT`] events.
static INSERT_EVENTS: LazyLock<[String; EVENTS_PER_INSERT]> = LazyLock::new(|| {
    std::array::from_fn(|last| {
        let rows: Vec<_> = (0..=last)
            .map(|row| {
                let placeholders: Vec<_> =
                    (1..=8).map(|column| format!("?{}", 8 * row + column)).collect();
                format!("({})", placeholders.join(", "))
            })
            .collect();
        format!(
            "INSERT INTO events \
             (position, tenant, stream, sequence, kind, payload, actor, at) VALUES {}",
            rows.join(", ")
        )
    })
});

const TAKE_POSITIONS: &str = "UPDATE log_position SET last = last + ?1 RETURNING last";

const ACQUIRE_LEASE: &str = "INSERT INTO leases (name, holder, fence, expires) \
    VALUES (?1, ?2, 1, ?3) ON CONFLICT (name) DO UPDATE \
    SET holder = excluded.holder, fence = leases.fence + 1, expires = excluded.expires \
    WHERE leases.expires <= ?4 OR leases.holder = excluded.holder RETURNING fence";

const RENEW_LEASE: &str = "UPDATE leases SET expires = ?4 \
    WHERE name = ?1 AND holder = ?2 AND fence = ?3 AND expires > ?5";

const RELEASE_LEASE: &str = "UPDATE leases SET holder = '', expires = 0 \
    WHERE name = ?1 AND holder = ?2 AND fence = ?3";

const HOLD_LEASE: &str = "UPDATE leases SET fence = fence \
    WHERE name = ?1 AND holder = ?2 AND fence = ?3";
