//! What happened lately: the end of a tenant's event log.

use release::Timestamp;
use store::Event;

use crate::{DeliveryError, TenantDelivery};

/// How many positions are looked back at first.
const BACK: u64 = 1_000;
/// How many positions are looked back at most. The log is everybody's.
const BACK_AT_MOST: u64 = 100_000;
/// How many events are read at once.
const PAGE: usize = 1_000;

impl TenantDelivery {
    /// The tenant's events since a moment, oldest first: those among the last hundred thousand of
    /// the installation. `newest` is a position near the end of the log.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn events_since(
        &self,
        newest: u64,
        since: Timestamp,
    ) -> Result<Vec<Event>, DeliveryError> {
        let mut back = BACK;
        loop {
            let start = newest.saturating_sub(back);
            let reaches = start == 0 || back >= BACK_AT_MOST || {
                let first = self.store.log(start, 1).await?;
                first.first().is_none_or(|event| event.at < since)
            };
            if reaches {
                return self.events_after(start, since).await;
            }
            back *= 10;
        }
    }

    async fn events_after(
        &self,
        mut position: u64,
        since: Timestamp,
    ) -> Result<Vec<Event>, DeliveryError> {
        let mut found = Vec::new();
        loop {
            let page = self.store.log(position, PAGE).await?;
            let Some(last) = page.last().and_then(|event| event.position) else {
                return Ok(found);
            };
            position = last;
            found.extend(page.into_iter().filter(|event| event.at >= since));
        }
    }
}

#[cfg(test)]
mod tests;
