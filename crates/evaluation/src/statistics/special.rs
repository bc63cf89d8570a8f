//! The special functions that the tests need, with tails that do not underflow.
//!
//! The gamma and error functions are `statrs`'s. The incomplete beta function is our own:
//! `statrs` and its like give it as a plain float, which is 0 from 10⁻³⁰⁸ on, and stop its
//! continued fraction after 140 terms, too few from some ten thousand units on.

use statrs::function::{erf, gamma};

/// The most terms of the continued fraction. It needs about the square root of its greater
/// parameter, so that this is enough for 10⁹ units.
const MOST_TERMS: u32 = 200_000;
/// The least number that the continued fraction divides by (modified Lentz's method).
const TINY: f64 = 1e-300;

/// ln Γ(x), for x > 0.
pub fn ln_gamma(x: f64) -> f64 {
    gamma::ln_gamma(x)
}

/// ln B(a, b) = ln Γ(a) + ln Γ(b) − ln Γ(a + b), for a, b > 0.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln I_x(a, b): the logarithm of the regularized incomplete beta function, which is the
/// probability that a Beta(a, b) variable is at most x (NIST DLMF 8.17.22).
pub fn ln_beta_lower(a: f64, b: f64, x: f64) -> f64 {
    ln_beta_tail((a, b), (x, 1.0 - x))
}

/// ln(1 − I_x(a, b)), as the lower tail of the mirrored variable.
pub fn ln_beta_upper(a: f64, b: f64, x: f64) -> f64 {
    ln_beta_tail((b, a), (1.0 - x, x))
}

/// ln I_x(a, b), where y = 1 − x.
fn ln_beta_tail((a, b): (f64, f64), (x, y): (f64, f64)) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if y <= 0.0 {
        return 0.0;
    }
    if x < (a + 1.0) / (a + b + 2.0) {
        return ln_small_tail((a, b), (x, y));
    }
    // Beyond the mean the other tail is the small one, so nothing is lost by this.
    let other = ln_small_tail((b, a), (y, x)).min(0.0);
    (-other.exp_m1()).ln()
}

/// ln I_x(a, b) below the mean, where the continued fraction converges fast.
fn ln_small_tail((a, b): (f64, f64), (x, y): (f64, f64)) -> f64 {
    let front = a * x.ln() + b * y.ln() - ln_beta(a, b) - a.ln();
    front + beta_fraction(a, b, x).ln()
}

/// The continued fraction of the incomplete beta function (Press et al., Numerical Recipes, 6.4).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let kept = |it: f64| if it.abs() < TINY { TINY } else { it };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..=MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for part in [even, odd] {
            d = 1.0 / kept(1.0 + part * d);
            c = kept(1.0 + part / c);
            change = d * c;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// Φ(z): the probability that a standard normal variable is at most z.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erf::erfc(-z / std::f64::consts::SQRT_2)
}

/// Φ⁻¹(p): the z that a standard normal variable exceeds with probability 1 − p.
pub fn normal_quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erf::erfc_inv(2.0 * p)
}

/// The probability that a χ² variable of `degrees` of freedom exceeds `statistic`.
pub fn chi_squared_survival(statistic: f64, degrees: u32) -> f64 {
    if statistic <= 0.0 {
        return 1.0;
    }
    if statistic.is_infinite() {
        return 0.0;
    }
    gamma::checked_gamma_ur(f64::from(degrees) / 2.0, statistic / 2.0).unwrap_or(f64::NAN)
}

/// The probability that of `n` trials, each a hit with probability `p`, at most `k` are hits.
pub fn binomial_at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    ln_beta_lower((n - k) as f64, k as f64 + 1.0, 1.0 - p).exp()
}

/// ln(eᵃ + eᵇ + …), without overflow; −∞ of nothing.
pub fn ln_sum_exp(terms: &[f64]) -> f64 {
    let greatest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !greatest.is_finite() {
        return greatest;
    }
    greatest + terms.iter().map(|term| (term - greatest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests;
