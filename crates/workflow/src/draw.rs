//! Randomness that can be drawn again: a generator whose whole state is one number.
//!
//! What a transition draws is decided by the state it starts from, so that replaying it gives the
//! same history. SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014); it decides jitter and fills test data, never a secret.

use serde::{Deserialize, Serialize};

/// A source of random numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Draw(u64);

impl Draw {
    /// The source that `seed` begins.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let bits = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }
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
