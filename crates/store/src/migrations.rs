//! Forward-only migrations of the schema.

use crate::StoreError;
use crate::engine::{Failure, Session, number};

/// Brings the database to this binary's schema, in one transaction.
pub(crate) async fn migrate<S: Session>(session: &mut S) -> Result<(), StoreError> {
    session.begin().await.map_err(|failure| failure.during("migrate"))?;
    match forward(session).await {
        Ok(()) => session.commit(false).await.map_err(|failure| failure.during("migrate")),
        Err(error) => {
            session.rollback().await;
            Err(error)
        }
    }
}

async fn forward<S: Session>(session: &mut S) -> Result<(), StoreError> {
    let failed = |failure: Failure| failure.during("migrate");
    session.lock_schema().await.map_err(failed)?;
    session.script(CREATE_VERSION).await.map_err(failed)?;
    let rows = session.query("SELECT version FROM schema_version", &[]).await.map_err(failed)?;
    let known = S::MIGRATIONS.len() as u64;
    let found = match rows.into_iter().next() {
        Some(row) => row.cells().number()?,
        None => {
            let insert = "INSERT INTO schema_version (version) VALUES (0)";
            session.execute(insert, &[]).await.map_err(failed)?;
            0
        }
    };
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (script, version) in S::MIGRATIONS.iter().copied().zip(1..).skip(found as usize) {
        session.script(script).await.map_err(failed)?;
        let update = "UPDATE schema_version SET version = ?1";
        session.execute(update, &[number(version)]).await.map_err(failed)?;
        tracing::info!(version, "the database schema was migrated");
    }
    Ok(())
}

const CREATE_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
