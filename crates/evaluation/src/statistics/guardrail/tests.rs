use super::*;

fn guardrail(margin: f64) -> Guardrail {
    Guardrail { margin, ..Guardrail::default() }
}

#[test]
fn a_score_that_fell_beyond_the_margin_is_harm() {
    let control = Moments::of_outcomes(9_000, 10_000);
    let evidence = judge(&control, &Moments::of_outcomes(8_400, 10_000), &guardrail(0.02));
    assert_eq!(evidence.verdict, Verdict::Harm);
    insta::assert_snapshot!(evidence, @"harm: worse by at least 0.0464, which is more than the tolerated 0.02; 10000 control and 10000 treatment units");
}

#[test]
fn an_equal_score_is_safe_within_the_margin() {
    let control = Moments::of_outcomes(9_000, 10_000);
    let evidence = judge(&control, &control, &guardrail(0.02));
    assert_eq!(evidence.verdict, Verdict::Safe);
    insta::assert_snapshot!(evidence, @"safe: worse by at most 0.0122, which is within the tolerated 0.02; 10000 control and 10000 treatment units");
    // But never shown to be no worse at all.
    assert_eq!(judge(&control, &control, &guardrail(0.0)).verdict, Verdict::Inconclusive);
}

#[test]
fn a_cost_that_rose_is_harm_and_one_that_fell_is_safe() {
    let cost = |mean: f64| {
        Moments::of(&(0..2_000).map(|i| mean + f64::from(i % 10) * 0.1).collect::<Vec<_>>())
    };
    let lower = Guardrail {
        direction: Direction::LowerIsBetter,
        scale: Scale::Relative,
        ..guardrail(0.05)
    };
    assert_eq!(judge(&cost(1.0), &cost(2.0), &lower).verdict, Verdict::Harm);
    assert_eq!(judge(&cost(2.0), &cost(1.0), &lower).verdict, Verdict::Safe);
}

#[test]
fn a_few_units_are_no_data_and_equal_ones_are_inconclusive() {
    let few = Moments::of(&[1.0, 2.0, 3.0]);
    assert_eq!(judge(&few, &few, &guardrail(0.1)).verdict, Verdict::NoData);
    let clean = Moments::of_outcomes(100, 100);
    let evidence = judge(&clean, &clean, &guardrail(0.1));
    assert_eq!(evidence.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(evidence, @"inconclusive: all units of an arm are equal, or the control's mean is 0; 100 control and 100 treatment units");
}

#[test]
fn a_few_treatment_units_that_are_all_equal_are_not_safe() {
    let control = Moments::of_outcomes(2_970, 3_000);
    let evidence = judge(&control, &Moments::of_outcomes(120, 120), &guardrail(0.02));
    assert_eq!(evidence.verdict, Verdict::Inconclusive);
}

#[test]
fn together_harm_is_adjusted_and_safety_needs_all() {
    let evidence = |verdict, p_harm| Evidence {
        verdict,
        p_harm,
        ..judge(&Moments::default(), &Moments::default(), &Guardrail::default())
    };
    let (harm, safe) = (evidence(Verdict::Harm, 0.02), evidence(Verdict::Safe, 1.0));
    assert_eq!(together(std::slice::from_ref(&harm), 0.05), Verdict::Harm);
    assert_eq!(together(&[harm.clone(), safe.clone()], 0.05), Verdict::Harm);
    // Three tests: 3 × 0.02 is more than α, but a harm of its own is not safe either.
    assert_eq!(together(&[harm, safe.clone(), safe.clone()], 0.05), Verdict::Inconclusive);
    assert_eq!(together(&[safe.clone(), safe.clone()], 0.05), Verdict::Safe);
    assert_eq!(together(&[safe, evidence(Verdict::NoData, 1.0)], 0.05), Verdict::NoData);
    assert_eq!(together(&[], 0.05), Verdict::NoData);
}

#[test]
fn a_negative_margin_is_refused() {
    assert_eq!(
        guardrail(-1.0).check().unwrap_err().to_string(),
        "`margin` is -1, but must be 0 or more"
    );
    assert!(guardrail(0.0).check().is_ok());
}
