use super::*;

#[test]
fn a_pass_rate_of_nine_tenths_needs_1237_cases_for_three_points() {
    assert_eq!(Plan::default().units_for_proportions(0.9, 0.03), 1_237);
}

#[test]
fn means_need_units_by_the_square_of_their_spread() {
    // Two-sided 0.05 and power 0.8: 2·(1.959964 + 0.841621)² = 15.698.
    let plan = Plan { alpha: 0.025, power: 0.8 };
    assert_eq!(plan.units_for_means(1.0, 1.0), 16);
    assert_eq!(plan.units_for_means(10.0, 1.0), 1_570);
    assert_eq!(plan.cases_for_pairs(10.0, 1.0), 785);
    assert_eq!(plan.units_for_means(1.0, 0.0), u64::MAX);
}

#[test]
fn the_planned_units_have_the_planned_power() {
    let plan = Plan::default();
    let units = plan.units_for_means(2.0, 0.5);
    assert!((plan.power_with(units, 2.0, 0.5) - 0.8).abs() < 0.005);
    assert!(plan.power_with(units / 4, 2.0, 0.5) < 0.5);
}

#[test]
fn the_smallest_arm_decides_how_long_it_takes() {
    assert_eq!(days(1_000, 500.0, 0.1), 20.0);
    assert_eq!(days(1_000, 0.0, 0.1), f64::INFINITY);
}

#[test]
fn impossible_plans_are_refused() {
    assert!(Plan { alpha: 0.05, power: 1.0 }.check().is_err());
    assert!(Plan { alpha: 0.0, power: 0.8 }.check().is_err());
    assert!(Plan::default().check().is_ok());
}
