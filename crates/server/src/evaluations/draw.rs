//! Cases drawn from an app's traces.

use delivery::{Draw, FromTraces};
use monitoring::answers;
use monitoring::draw::{self, MOST};
use monitoring::tables::Span;
use release::{AppName, EnvironmentName, TenantId, Timestamp};
use workflow::Fault;

use super::recorded::{asked, case};
use super::{Evaluations, bad};
use crate::api::series::moment;

/// Since when requests are drawn where nothing else is said.
const SINCE: &str = "7d";
/// The most requests of one draw.
const MOST_CASES: usize = 2_000;
/// The most bytes of what they ask together.
const MOST_BYTES: usize = 32 << 20;
/// How many are read at once.
const TOGETHER: usize = 200;

impl Evaluations {
    /// Draws recorded requests of an app's clients in an environment, as of `now`.
    ///
    /// # Errors
    /// If none was recorded, too many are wanted, or telemetry cannot be asked.
    pub async fn draw(
        &self,
        (tenant, app, environment): (&TenantId, &AppName, &EnvironmentName),
        (from, now): (&FromTraces, Timestamp),
    ) -> Result<Draw, Fault> {
        let FromTraces { count, since, seed } = from;
        let wanted = *count as usize;
        if wanted == 0 || wanted > MOST_CASES {
            return Err(bad(format!("`traces`: {wanted} is not between 1 and {MOST_CASES}")));
        }
        let since = since.as_deref().unwrap_or(SINCE);
        let since = moment(since, now).ok_or_else(|| {
            bad(format!("`since`: `{since}` is no moment (RFC 3339) and no length of time (7d)"))
        })?;
        let failed = |error: monitoring::query::QueryError| {
            Fault::new("Groundcrew.Query", error.to_string())
        };
        let span = Span { from: since, until: now };
        let queries = &self.queries;
        let drawn = draw::draw(queries, tenant, (app, environment), (span, *seed)).await;
        let drawn = drawn.map_err(failed)?;
        let (mut cases, mut bytes, mut left_out) = (Vec::new(), 0, 0);
        for traces in drawn.chunks(TOGETHER) {
            if cases.len() == wanted {
                break;
            }
            let mut records = answers::records(queries, tenant, traces).await.map_err(failed)?;
            for trace in traces {
                if cases.len() == wanted {
                    break;
                }
                let request = records.remove(trace).and_then(|record| asked(&record).ok());
                let Some(Ok(case)) = request.map(|(request, _)| case(*trace, &request)) else {
                    left_out += 1;
                    continue;
                };
                // A case was read from JSON.
                bytes += serde_json::to_vec(&case).map_or(0, |json| json.len());
                if bytes > MOST_BYTES {
                    return Err(bad(format!(
                        "{} of the requests have more than {MOST_BYTES} bytes: draw fewer",
                        cases.len() + 1
                    )));
                }
                cases.push(case);
            }
        }
        if cases.is_empty() {
            return Err(bad(format!(
                "no request to `{app}` in `{environment}` since {since} was recorded with its \
                 content ({left_out} of {} cannot be asked again): name another environment or an \
                 earlier moment",
                drawn.len().min(MOST)
            )));
        }
        Ok(Draw { cases, wanted: *count, seed: *seed, since, until: now, left_out })
    }
}
