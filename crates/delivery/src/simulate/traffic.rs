//! Traffic that is drawn: how many sessions come between two looks, and how they end.
//!
//! Each interval is drawn from its own seed, which follows from the run and the interval's number.
//! So policies that give the candidate the same weight in the same interval see the same sessions,
//! whatever they did before, and no run depends on another.

use rand::RngCore;
use rand_distr::{Binomial, Distribution, Poisson};
use release::{BUCKETS, BasisPoints, Draw};

use super::scenario::{BurstsFile, CandidateFile, Scenario, TrafficFile};

/// What came in between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Interval {
    /// What the candidate answered.
    pub(super) canary: Counts,
    /// What the control answered.
    pub(super) control: Counts,
}

/// What one arm answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// New sessions.
    pub(super) sessions: u64,
    /// Of these, those that were in no arm before.
    pub(super) assigned: u64,
    /// Sessions that failed for the first time.
    pub(super) failed: u64,
    /// Sessions that were slow for the first time.
    pub(super) slow: u64,
    /// Requests.
    pub(super) requests: u64,
    /// Requests that failed.
    pub(super) failed_requests: u64,
}

/// The traffic of one run, interval by interval.
#[derive(Debug)]
pub(super) struct Traffic<'a> {
    traffic: &'a TrafficFile,
    candidate: &'a CandidateFile,
    /// The share of the control's answers that are slow; 0 if latency is not judged.
    slow: f64,
    seed: u64,
    /// Where in the period of the drift the run begins, as a part of it.
    phase: f64,
    clients: Vec<Client>,
    /// How many intervals passed.
    passed: u64,
}

/// A client whose requests all fail.
#[derive(Debug)]
struct Client {
    bucket: BasisPoints,
    /// Where in its period the run begins, as a part of it.
    phase: f64,
    /// Whether the candidate, and whether the control, was seen to fail it.
    seen: [bool; 2],
}

impl<'a> Traffic<'a> {
    /// The traffic of the run of this seed.
    pub(super) fn of(scenario: &'a Scenario, candidate: &'a CandidateFile, seed: u64) -> Self {
        let mut draw = Draw::seeded(seed);
        let phase = draw.unit();
        let clients = scenario.traffic.bursts.map_or(0, |bursts| bursts.clients);
        let mut client = |_| {
            let bucket = draw.index(usize::from(BUCKETS)) as BasisPoints;
            Client { bucket, phase: draw.unit(), seen: [false; 2] }
        };
        let quantile = scenario.rollout.rules.evidence.latency_quantile;
        Self {
            traffic: &scenario.traffic,
            candidate,
            slow: if quantile > 0.0 { 1.0 - quantile } else { 0.0 },
            seed,
            phase,
            clients: (0..clients).map(&mut client).collect(),
            passed: 0,
        }
    }

    /// What comes in until the next look, while the candidate has this weight.
    pub(super) fn next(&mut self, weight: BasisPoints) -> Interval {
        let mut draw = Source(Draw::seeded(seed_of(self.seed, self.passed)));
        let traffic = self.traffic;
        let minutes = traffic.look_seconds as f64 / 60.0;
        let share = f64::from(weight) / f64::from(BUCKETS);
        let sessions = draw.poisson(traffic.sessions_per_minute * minutes);
        let canary = draw.binomial(sessions, share);
        let rate = self.failure_rate((self.passed as f64 + 0.5) * minutes);
        let CandidateFile { ratio, slow_ratio, .. } = *self.candidate;
        let mut interval = Interval {
            canary: self.arm(canary, (rate * ratio, self.slow * slow_ratio), &mut draw),
            control: self.arm(sessions - canary, (rate, self.slow), &mut draw),
        };
        if let Some(bursts) = traffic.bursts {
            self.burst(&bursts, weight, &mut interval);
        }
        self.passed += 1;
        interval
    }

    /// The share of the control's requests that fail so many minutes after the beginning.
    fn failure_rate(&self, minutes: f64) -> f64 {
        let TrafficFile { failure_rate, drift, drift_minutes, .. } = *self.traffic;
        let turns = self.phase + minutes / drift_minutes;
        failure_rate * (1.0 + drift * (std::f64::consts::TAU * turns).sin())
    }

    /// So many sessions of an arm, whose requests fail and are slow at these rates.
    fn arm(&self, sessions: u64, (rate, slow): (f64, f64), draw: &mut Source) -> Counts {
        let each = self.traffic.requests_per_session;
        let any = |rate: f64| 1.0 - (1.0 - rate.min(1.0)).powi(each.cast_signed());
        let failed = draw.binomial(sessions, any(rate));
        // The first of a failed session's failures leaves so many requests that may fail as well.
        let further: u64 = match each {
            1 => 0,
            _ => (0..failed).map(|_| draw.further_failures(each, rate)).sum(),
        };
        Counts {
            sessions,
            assigned: sessions,
            failed,
            slow: draw.binomial(sessions, any(slow)),
            requests: sessions * u64::from(each),
            failed_requests: failed + further,
        }
    }

    fn burst(&mut self, bursts: &BurstsFile, weight: BasisPoints, interval: &mut Interval) {
        let minutes = self.traffic.look_seconds as f64 / 60.0;
        let turns = |phase: f64, looks: u64| {
            (phase + looks as f64 * minutes / bursts.every_minutes).floor()
        };
        for client in &mut self.clients {
            let times = turns(client.phase, self.passed + 1) - turns(client.phase, self.passed);
            if times < 1.0 {
                continue;
            }
            let is_canary = client.bucket < weight;
            let counts = if is_canary { &mut interval.canary } else { &mut interval.control };
            let requests = bursts.requests * times as u64;
            counts.requests += requests;
            counts.failed_requests += requests;
            let new = !client.seen.contains(&true);
            if let Some(seen) = client.seen.get_mut(usize::from(is_canary))
                && !*seen
            {
                *seen = true;
                counts.sessions += 1;
                counts.failed += 1;
                counts.assigned += u64::from(new);
            }
        }
    }
}

/// The seed of the `number`-th of what is drawn from `seed`.
pub(super) fn seed_of(seed: u64, number: u64) -> u64 {
    Draw::seeded(Draw::seeded(seed).bits().wrapping_add(number)).bits()
}

/// Draws counts.
struct Source(Draw);

impl RngCore for Source {
    fn next_u32(&mut self) -> u32 {
        (self.0.bits() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.bits()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.0.bits().to_le_bytes();
            chunk.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        }
    }
}

impl Source {
    fn poisson(&mut self, mean: f64) -> u64 {
        Poisson::new(mean).map_or(0, |counts| counts.sample(self) as u64)
    }

    fn binomial(&mut self, trials: u64, chance: f64) -> u64 {
        Binomial::new(trials, chance.clamp(0.0, 1.0)).map_or(0, |counts| counts.sample(self))
    }

    /// Of a session of which some request failed, the failures after the first: which was the first
    /// is a geometric number cut off at the session's length.
    fn further_failures(&mut self, requests: u32, rate: f64) -> u64 {
        let any = 1.0 - (1.0 - rate).powi(requests.cast_signed());
        let before = ((-self.0.unit() * any).ln_1p() / (-rate).ln_1p()).floor();
        let left = f64::from(requests) - 1.0 - before;
        self.binomial(left.max(0.0) as u64, rate)
    }
}
