//! Several tests at once.

/// The p-values adjusted such that calling those up to α keeps the chance of any false call below
/// α, whatever depends on what (Holm, "A simple sequentially rejective multiple test procedure",
/// 1979): in ascending order p′_i = max(p′_{i−1}, min(1, (k − i + 1)·p_i)). In the given order;
/// what is no number counts as 1.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let known: Vec<f64> = p.iter().map(|p| if p.is_nan() { 1.0 } else { *p }).collect();
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_by(|a, b| known[*a].total_cmp(&known[*b]));
    let mut adjusted = vec![1.0; known.len()];
    let mut greatest = 0.0_f64;
    for (rank, index) in order.iter().enumerate() {
        let left = (known.len() - rank) as f64;
        greatest = greatest.max((left * known[*index]).min(1.0));
        adjusted[*index] = greatest;
    }
    adjusted
}

#[cfg(test)]
mod tests;
