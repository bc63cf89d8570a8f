//! Evidence about one probability, that may be looked at after every trial.
//!
//! A bet on a hit's probability that is spread as a Beta(kθ, k(1 − θ)) distribution cut off at θ,
//! k = 10, against the null hypothesis that it is θ. As all of the bet lies beyond θ, its mean is
//! at most 1 on the other side of θ as well, so that it is an e-process (the Beta mixture of
//! Lindon and Malek, "Anytime-valid inference for multinomial count data", arXiv 2011.03567, made
//! one-sided).
//!
//! With the probability that an error is the canary's it compares two error rates at a constant
//! weight ([`share_of_errors`]); with a rate alone it is an absolute test.

use super::special::{ln_beta, ln_beta_lower, ln_beta_upper};

/// How narrow the bet is spread around θ, in trials.
const CONCENTRATION: f64 = 10.0;

/// ln E that a hit's probability is above `theta`: what `hits` and `misses` say against the null
/// hypothesis that it is at most `theta`, which lies between 0 and 1.
///
/// ln B(a+x, b+y) − ln B(a, b) + ln[(1−I_θ(a+x, b+y)) / (1−I_θ(a, b))] − x·ln θ − y·ln(1−θ)
pub fn ln_e_above(hits: u64, misses: u64, theta: f64) -> f64 {
    ln_e(hits, misses, theta, ln_beta_upper)
}

/// ln E that a hit's probability is below `theta`; the same with I for 1 − I.
pub fn ln_e_below(hits: u64, misses: u64, theta: f64) -> f64 {
    ln_e(hits, misses, theta, ln_beta_lower)
}

fn ln_e(hits: u64, misses: u64, theta: f64, ln_tail: fn(f64, f64, f64) -> f64) -> f64 {
    let (x, y) = (hits as f64, misses as f64);
    let (a, b) = (CONCENTRATION * theta, CONCENTRATION * (1.0 - theta));
    let after = ln_beta(a + x, b + y) + ln_tail(a + x, b + y, theta);
    let before = ln_beta(a, b) + ln_tail(a, b, theta);
    after - before - x * theta.ln() - y * (-theta).ln_1p()
}

/// θ_ρ(g) = ρg / (1 − ρ + ρg): the probability that an error is the canary's, which has the part
/// `share` (ρ) of all units and errs `ratio` (g) times as often as the control.
pub fn share_of_errors(share: f64, ratio: f64) -> f64 {
    share * ratio / (1.0 - share + share * ratio)
}

#[cfg(test)]
mod tests;
