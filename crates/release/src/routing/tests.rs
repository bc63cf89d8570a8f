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
        mirror: None,
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

/// All is the control's, and half of the units are copied.
fn mirrored(share: u16) -> TrafficPlan {
    let cap = crate::Money { currency: crate::Currency::USD, nanos: 1 };
    let mirror = Mirror { release: release(2), share, cap, in_flight: 1 };
    let arms = vec![Arm {
        name: "control".into(),
        release: release(1),
        ranges: vec![BucketRange { from: 0, to: BUCKETS }],
    }];
    TrafficPlan { arms, mirror: Some(mirror), ..canary(0) }
}

#[test]
fn whole_units_are_copied_and_who_is_has_nothing_to_do_with_the_arms() {
    let (half, most) = (mirrored(5_000), mirrored(9_000));
    assert_eq!((half.check(), mirrored(BUCKETS + 1).check().is_err()), (Ok(()), true));
    let units: Vec<String> = (0..4_000).map(|unit| format!("session-{unit}")).collect();
    let copied = |plan: &TrafficPlan, unit: &str| plan.mirror_of(unit).is_some();
    let low = |unit: &str| bucket(&half.id.0, unit) < 5_000;
    let count = |fits: &dyn Fn(&str) -> bool| units.iter().filter(|unit| fits(unit)).count();
    let both = count(&|unit| low(unit) && copied(&half, unit));
    assert!((900..1_100).contains(&both), "{both} of 4,000 units are in both halves");
    assert!((1_900..2_100).contains(&count(&|unit| copied(&half, unit))));
    assert_eq!(count(&|unit| copied(&half, unit) && !copied(&most, unit)), 0, "nobody leaves");
    assert_eq!(count(&|unit| copied(&mirrored(0), unit)), 0, "copying rests");
}

#[test]
fn a_copy_is_bound_like_its_original_but_to_the_mirror() {
    let (app, tenant) = ("support".parse().unwrap(), TenantId::DEFAULT);
    let table = table(Some(mirrored(BUCKETS)));
    let original = bind(&table, "support", "prod", "ada").unwrap();
    let (mirror, copy) = table.copy(&tenant, &app, &original).unwrap();
    assert_eq!((copy.release, copy.arm.as_deref()), (mirror.release, Some(SHADOW)));
    let back = Binding { release: original.release, arm: original.arm.clone(), ..copy.clone() };
    assert_eq!(back, original);
    for other in [
        Binding { step: Some(1), ..original.clone() },
        Binding { plan: None, ..original.clone() },
        // A route decided, or it is the candidate's already.
        Binding { arm: None, ..original.clone() },
        Binding { release: release(2), ..original },
    ] {
        assert_eq!(table.copy(&tenant, &app, &other), None, "{other:?}");
    }
    let stable = table.environment(&tenant, &app, &"prod".parse().unwrap()).unwrap();
    assert!(stable.releases().any(|it| it == release(2)), "it is loaded and kept");
}
