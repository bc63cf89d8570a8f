//! What a workflow draws. It follows from the state that a transition starts from, so that replaying
//! it gives the same history.

use release::Draw;

/// A UUID of version 4.
pub fn uuid(draw: &mut Draw) -> String {
    let bits = (u128::from(draw.bits()) << 64) | u128::from(draw.bits());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// The first number from 0 up to and without 1 that Java's `Random` gives for a seed, which is
/// what the service draws for one: the generator of the class's documentation.
pub fn java(seed: i64) -> f64 {
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (seed as u64 ^ MULTIPLIER) & MASK;
    let mut bits = |count: u32| {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        state >> (48 - count)
    };
    let (high, low) = (bits(26), bits(27));
    ((high << 27) + low) as f64 / (1_u64 << 53) as f64
}
