//! Copies of requests, asked of a candidate whose answers nobody sees.
//!
//! A copy goes the way of every request, in a task of its own, and leaves a record that is marked with
//! the trace it is a copy of. The original waits for nothing of it. Tools are the client's to run, and
//! it does not learn of the calls that a copy's answer asks for: so a copy has no effects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use monitoring::arms::UNPRICED;
use monitoring::{Aside, Generation};
use release::{Mirror, Money, PlanId, RoutingTable, TenantId};
use tokio::sync::watch;

use super::{Bound, Client, answer_bound};
use crate::Gateway;

/// The plans whose requests are copied here.
#[derive(Debug, Default)]
pub struct Copies(Mutex<HashMap<Plan, Account>>);

type Plan = (TenantId, PlanId);

/// What the copies of one plan have come to here since the server was started.
#[derive(Debug)]
struct Account {
    under_way: u32,
    spent: Money,
    /// Whether one cost nobody knows how much: then no cap can be kept.
    unpriced: bool,
}

/// A copy that is under way.
struct Copying {
    gateway: Arc<Gateway>,
    plan: Plan,
    /// The server does not end before it is recorded.
    _under_way: watch::Receiver<()>,
}

/// Asks a copy of the request where its plan wants one. One that is not made is noted in the record.
pub(super) fn mirror(gateway: &Arc<Gateway>, bound: &mut Bound) {
    let live = Arc::clone(&gateway.parts.live.borrow());
    let copied = live.table.copy(&bound.tenant, &bound.app, &bound.binding);
    let Some((mirror, binding)) = copied else { return };
    let Some(plan) = binding.plan.clone() else { return };
    let plan = (bound.tenant.clone(), plan);
    let loaded = live.release(&bound.tenant, mirror.release).map_err(|_| "not_loaded");
    let begun = loaded.and_then(|loaded| {
        let copying = Copying::begin(gateway, (plan, mirror), &live.table)?;
        Ok((loaded, copying))
    });
    let (loaded, copying) = match begun {
        Ok(begun) => begun,
        Err(why) => {
            tracing::debug!(request = %bound.trace, release = %mirror.release, why, "a copy is dropped");
            bound.copy_dropped = Some(why);
            return;
        }
    };
    let copy = Bound {
        trace: (gateway.parts.trace_ids)(),
        principal: bound.principal.clone(),
        aside: Some(Aside::CopyOf(bound.trace)),
        copy_dropped: None,
        tenant: bound.tenant.clone(),
        app: bound.app.clone(),
        binding,
        loaded,
        request: bound.request.clone(),
        set: bound.set.clone(),
        vector: None,
    };
    tokio::spawn(copying.ask(copy));
}

impl Copying {
    /// Begins a copy, or says why there is none.
    fn begin(
        gateway: &Arc<Gateway>,
        (plan, mirror): (Plan, &Mirror),
        table: &RoutingTable,
    ) -> Result<Self, &'static str> {
        let mut plans = gateway.copies.plans();
        if !plans.contains_key(&plan) {
            plans.retain(|plan, account| account.under_way > 0 || in_force(table, plan));
        }
        let account = plans.entry(plan.clone()).or_insert_with(|| Account {
            under_way: 0,
            spent: Money::zero(mirror.cap.currency),
            unpriced: false,
        });
        if account.unpriced || account.spent.currency != mirror.cap.currency {
            return Err(UNPRICED);
        }
        if account.spent.nanos >= mirror.cap.nanos {
            return Err("cap");
        }
        if account.under_way >= mirror.in_flight {
            return Err("bound");
        }
        account.under_way += 1;
        Ok(Self { gateway: Arc::clone(gateway), plan, _under_way: gateway.under_way() })
    }

    /// Asks the copy to its end and throws the answer away.
    async fn ask(self, copy: Bound) {
        let (client, mut back) = Client::pair();
        let discard = async { while back.recv().await.is_some() {} };
        let ((record, _), ()) = tokio::join!(answer_bound(&self.gateway, copy, client), discard);
        if let Some(generation) = &record.generation {
            self.spent(generation);
        }
    }

    /// Adds what a copy cost. What used nothing, since it failed before, cost nothing.
    fn spent(&self, generation: &Generation) {
        let used = generation.input_tokens > 0 || generation.output_tokens > 0;
        let mut plans = self.gateway.copies.plans();
        let Some(account) = plans.get_mut(&self.plan).filter(|_| used) else { return };
        match generation.cost.and_then(|cost| account.spent.checked_add(cost)) {
            Some(spent) => account.spent = spent,
            None => account.unpriced = true,
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(account) = self.gateway.copies.plans().get_mut(&self.plan) {
            account.under_way -= 1;
        }
    }
}

impl Copies {
    fn plans(&self) -> MutexGuard<'_, HashMap<Plan, Account>> {
        // Whoever panicked left counts that are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_force(table: &RoutingTable, (tenant, id): &Plan) -> bool {
    table.environments().any(|(of, environment)| {
        of == tenant && environment.plan.as_ref().is_some_and(|plan| plan.id == *id)
    })
}
