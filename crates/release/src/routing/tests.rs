//! A request is bound to exactly one release, and always to the same one.

use super::*;
use crate::environment::{Arm, BucketRange, PlanOwner, Route, TrafficPlan};
use crate::{BUCKETS, Digest};

fn release(n: u8) -> ReleaseDigest {
    ReleaseDigest::new(Digest::of(&[n]))
}

fn table(plan: Option<TrafficPlan>) -> RoutingTable {
    let mut environment = Environment::empty("support".parse().unwrap(), "prod".parse().unwrap());
    environment.stable = Some(release(1));
    environment.plan = plan;
    let mut table = RoutingTable::at(7);
    table.insert(TenantId::DEFAULT, environment);
    table
}

fn canary(weight: u16) -> TrafficPlan {
    TrafficPlan {
        id: PlanId("seed".into()),
        owner: PlanOwner::Rollout("r".into()),
        step: 0,
        arms: vec![
            Arm {
                name: "canary".into(),
                release: release(2),
                ranges: vec![BucketRange { from: 0, to: weight }],
            },
            Arm {
                name: "control".into(),
                release: release(1),
                ranges: vec![BucketRange { from: weight, to: BUCKETS }],
            },
        ],
        mirrors: Vec::new(),
        routes: vec![Route {
            when: RouteMatch::Header { name: "x-preview".into(), value: "yes".into() },
            release: release(3),
        }],
    }
}

fn bind(table: &RoutingTable, app: &str, environment: &str, unit: &str) -> Result<Binding, String> {
    let caller =
        Caller { tenant: &TenantId::DEFAULT, unit: Unit::Stuck(unit.into()), header: &|_| None };
    table
        .bind(&app.parse().unwrap(), &environment.parse().unwrap(), caller)
        .map_err(|error| error.to_string())
}

#[test]
fn without_a_plan_the_stable_release_answers() {
    let binding = bind(&table(None), "support", "prod", "ada").unwrap();
    assert_eq!((binding.release, binding.plan, binding.arm), (release(1), None, None));
}

#[test]
fn with_a_plan_the_bucket_decides() {
    // `bucket("seed", "a")` is 505.
    let inside = bind(&table(Some(canary(506))), "support", "prod", "a").unwrap();
    let outside = bind(&table(Some(canary(505))), "support", "prod", "a").unwrap();
    assert_eq!((inside.release, inside.arm.as_deref()), (release(2), Some("canary")));
    assert_eq!((outside.release, outside.arm.as_deref()), (release(1), Some("control")));
}

#[test]
fn a_route_beats_the_bucket() {
    let caller = Caller {
        tenant: &TenantId::DEFAULT,
        unit: Unit::Unstuck("a".into()),
        header: &|name| (name == "x-preview").then_some("yes"),
    };
    let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
    let binding = table(Some(canary(506))).bind(&app, &environment, caller).unwrap();
    assert_eq!((binding.release, binding.arm), (release(3), None));
}

#[test]
fn what_is_not_there_is_named_and_other_tenants_see_nothing() {
    let table = table(None);
    assert_eq!(bind(&table, "sales", "prod", "a").unwrap_err(), "there is no app `sales`");
    assert_eq!(
        bind(&table, "support", "dev", "a").unwrap_err(),
        "app `support` has no environment `dev`"
    );
    let other = "other".parse().unwrap();
    let caller = Caller { tenant: &other, unit: Unit::Stuck("a".into()), header: &|_| None };
    let (app, environment) = ("support".parse().unwrap(), "prod".parse().unwrap());
    assert!(matches!(table.bind(&app, &environment, caller), Err(UnknownTarget::App(_))));
}
