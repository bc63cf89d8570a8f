//! N-grams that two sequences have in common.

use std::collections::HashMap;
use std::hash::Hash;

/// How many n-grams of `two` are in `one`, each at most as often as it is there.
pub(super) fn common<T: Eq + Hash>(n: usize, one: &[T], two: &[T]) -> usize {
    let mut left: HashMap<&[T], usize> = HashMap::new();
    for gram in one.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut taken = 0;
    for gram in two.windows(n) {
        if let Some(count) = left.get_mut(gram).filter(|count| **count > 0) {
            *count -= 1;
            taken += 1;
        }
    }
    taken
}
