//! What simulations tell, and that they tell the truth.

use release::BUCKETS;

use super::*;

fn scenario(text: &str) -> Scenario {
    Scenario::read("scenario.toml", text).unwrap()
}

fn share(report: &Report, candidate: usize, policy: usize) -> [f64; 3] {
    let told = &report.candidates[candidate].policies[policy];
    [told.rolled_back, told.promoted, told.undecided].map(|share| share.share)
}

/// Few looks with many sessions each, so that it is fast without optimisation as well.
const QUICK: &str = "
[rules]
strategy = \"canary\"
steps = [{ weight = 20, seconds = 600 }, { weight = 50, seconds = 600 }]

[traffic]
look_seconds = 300
minutes = 240
";

#[test]
fn a_seed_gives_the_same_report_and_another_another() {
    let scenario = scenario(QUICK);
    let of = |seed| simulate(&scenario, Runs { count: 40, seed });
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn a_run_does_not_depend_on_how_many_there_are() {
    let scenario = scenario(QUICK);
    let candidate = &scenario.candidates[2];
    let runs = |count| played(Runs { count, seed: 3 }, |seed| evidence(&scenario, candidate, seed));
    assert_eq!(runs(31)[..10], runs(10));
}

#[test]
fn releases_that_are_as_good_are_seldom_taken_back_and_bad_ones_are_found() {
    let text = format!(
        "{QUICK}\n[[candidates]]\nname = \"as good\"\n\n[[candidates]]\nname = \"twice\"\nratio = 2"
    );
    let report = simulate(&scenario(&text), Runs { count: 2_000, seed: 1 });
    let [rolled_back, promoted, _] = share(&report, 0, 0);
    assert!(rolled_back <= 0.05, "{rolled_back} is above alpha\n{report}");
    assert!(promoted >= 0.95, "{report}");
    let [rolled_back, promoted, _] = share(&report, 1, 0);
    assert!(rolled_back >= 0.95, "{report}");
    assert!(promoted <= 0.05, "{promoted} is above alpha\n{report}");
}

/// 60 looks at a tenth of 600 requests a minute, of which one in a hundred fails. In a look two or
/// more of 60 fail with probability 0.122, which is above 2.5 % up to the 80 requests that hardly ever
/// come. Of 60 such looks four or more fail with probability 0.94, five or more with 0.87.
#[test]
fn thresholds_take_good_releases_back() {
    let rolled_back = |limit: u32| {
        let text = format!(
            "[rules]\nstrategy = \"canary\"\nsteps = [{{ weight = 10, seconds = 3600 }}]\n\
             [traffic]\nminutes = 70\n\
             [argo]\nhighest_error_rate = 0.025\nfailure_limit = {limit}\n\
             [[candidates]]\nname = \"as good\""
        );
        let scenario = scenario(&text);
        let candidate = &scenario.candidates[0];
        let runs = Runs { count: 1_000, seed: 1 };
        let played = played(runs, |seed| thresholds::argo(&scenario, candidate, seed));
        PolicyReport::of("Argo-style", &played).rolled_back.share
    };
    let near = |found: f64, known: f64| assert!((found - known).abs() < 0.04, "{found}, {known}");
    near(rolled_back(0), 1.0);
    near(rolled_back(3), 0.94);
    near(rolled_back(4), 0.87);
}

#[test]
fn flagger_goes_up_by_steps_and_takes_silence_for_failure() {
    let text = "[rules]\nstrategy = \"canary\"\n[traffic]\nsessions_per_minute = 1e-6\n\
                [flagger]\nfailed_checks = 4\n";
    let silent = scenario(text);
    let played = thresholds::flagger(&silent, &silent.candidates[0], 1);
    assert_eq!(played, Played { ended: Ended::RolledBack, minutes: 4.0, exposed: 0 });
    let text = "[rules]\nstrategy = \"canary\"\n[traffic]\nsessions_per_minute = 1e5\n\
                [flagger]\nstep_weight = 20\nmax_weight = 50\ninterval_seconds = 120\n";
    let steady = scenario(text);
    let played = thresholds::flagger(&steady, &steady.candidates[0], 1);
    assert_eq!((played.ended, played.minutes), (Ended::Promoted, 6.0), "20, 40 and 50 %");
}

#[test]
fn traffic_is_as_it_was_asked_for() {
    let text = "[rules]\nstrategy = \"canary\"\n[rules.evidence]\nlatency_quantile = 0.9\n\
                [traffic]\nfailure_rate = 0.1\nrequests_per_session = 3\n\
                [[candidates]]\nname = \"worse\"\nratio = 2\nslow_ratio = 3\n";
    let scenario = scenario(text);
    let mut traffic = Traffic::of(&scenario, &scenario.candidates[0], 1);
    let mut all = [Counts::default(); 2];
    for _ in 0..500 {
        let interval = traffic.next(2_500);
        for (sum, counts) in all.iter_mut().zip([interval.canary, interval.control]) {
            sum.sessions += counts.sessions;
            sum.failed += counts.failed;
            sum.slow += counts.slow;
            sum.requests += counts.requests;
            sum.failed_requests += counts.failed_requests;
        }
    }
    let [canary, control] = all;
    let near = |(part, all): (u64, u64), known: f64| {
        let found = part as f64 / all as f64;
        assert!((found / known - 1.0).abs() < 0.02, "{found}, not {known}");
    };
    near((canary.sessions + control.sessions, 500), 600.0);
    near((canary.sessions, canary.sessions + control.sessions), 0.25);
    near((control.failed_requests, control.requests), 0.1);
    near((control.failed, control.sessions), 1.0 - 0.9_f64.powi(3));
    near((control.slow, control.sessions), 1.0 - 0.9_f64.powi(3));
    near((canary.failed_requests, canary.requests), 0.2);
    near((canary.failed, canary.sessions), 1.0 - 0.8_f64.powi(3));
    near((canary.slow, canary.sessions), 1.0 - 0.7_f64.powi(3));
}

#[test]
fn the_same_weight_sees_the_same_sessions_whatever_was_before() {
    let scenario = scenario(QUICK);
    let candidate = &scenario.candidates[0];
    let (mut one, mut other) =
        (Traffic::of(&scenario, candidate, 5), Traffic::of(&scenario, candidate, 5));
    assert_ne!(one.next(500), other.next(5_000));
    assert_eq!(one.next(1_000), other.next(1_000));
}

#[test]
fn a_client_that_fails_again_and_again_is_one_session_and_stays_in_its_arm() {
    let text = "[rules]\nstrategy = \"canary\"\n\
                [traffic]\nsessions_per_minute = 1e-6\nbursts = { requests = 50, every_minutes = 2 }\n";
    let scenario = scenario(text);
    let mut traffic = Traffic::of(&scenario, &scenario.candidates[0], 1);
    let mut control = Counts::default();
    for _ in 0..20 {
        let interval = traffic.next(0);
        assert_eq!(interval.canary, Counts::default());
        control.sessions += interval.control.sessions;
        control.failed += interval.control.failed;
        control.failed_requests += interval.control.failed_requests;
    }
    assert_eq!((control.sessions, control.failed, control.failed_requests), (1, 1, 500));
    let moved: Vec<_> = (0..2).map(|_| traffic.next(BUCKETS).canary).collect();
    let sum = |count: fn(&Counts) -> u64| moved.iter().map(count).sum::<u64>();
    assert_eq!(sum(|canary| canary.sessions), 1, "the weight took it into the other arm");
    assert_eq!(sum(|canary| canary.assigned), 0, "where it was not assigned anew");
}

#[test]
fn slow_answers_are_found_by_evidence_alone() {
    let text = format!(
        "{QUICK}\n[rules.evidence]\nlatency_quantile = 0.95\n\
         [[candidates]]\nname = \"slow\"\nslow_ratio = 2\n"
    );
    let report = simulate(&scenario(&text), Runs { count: 100, seed: 1 });
    assert!(share(&report, 0, 0)[0] > 0.95, "{report}");
}

#[test]
fn the_table_is_for_people() {
    let report = simulate(&scenario(QUICK), Runs { count: 100, seed: 1 });
    insta::assert_snapshot!(report);
}

#[test]
fn mistakes_are_told_all_at_once_at_their_places() {
    let told = |text: &str| {
        let found = Scenario::read("scenario.toml", text).unwrap_err();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let all = [
        told("[rules\n"),
        told(""),
        told(
            "[rules]\nstrategy = \"canary\"\n[traffic]\nsesions_per_minute = 5\nminutes = \"6\"\n",
        ),
        told("[rules]\n"),
        told("[rules]\nstrategy = \"shadow\"\n"),
        told(
            "[rules]\nstrategy = \"canary\"\nevidence = { alpha = 2.0 }\n\
              [traffic]\nsessions_per_minute = 0\nfailure_rate = 1\nlook_seconds = 0\nminutes = 0\n\
              drift = -1\nbursts = { clients = 0 }\n",
        ),
        told(
            "[rules]\nstrategy = \"canary\"\n[[candidates]]\nname = \"a\"\nratio = 200\n\
              [[candidates]]\nname = \"a\"\nratio = 0\nslow_ratio = 0\n",
        ),
        told(
            "candidates = []\n[rules]\nstrategy = \"canary\"\n\
              [argo]\nhighest_error_rate = 1.5\ninterval_seconds = 90\n\
              [flagger]\nfailed_checks = 0\nstep_weight = 60\nmax_weight = 50\n",
        ),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}
