//! Which bucket a unit falls into: a pure function, so nothing is persisted and nothing moves.

/// The number of buckets: one per basis point.
pub const BUCKETS: u16 = 10_000;

/// The bucket of `unit` under `seed`: `fnv1a32(decimal(fnv1a32(seed ‖ unit))) mod 10000`
/// (GrowthBook's hash version 2, so that its SDKs agree on ASCII units).
///
/// ```
/// assert_eq!(release::bucket("seed", "a"), 505);
/// assert_eq!(release::bucket("foo", "ab"), 2575);
/// ```
pub fn bucket(seed: &str, unit: &str) -> u16 {
    let inner = fnv1a32(seed.bytes().chain(unit.bytes()));
    let outer = fnv1a32(inner.to_string().bytes());
    (outer % u32::from(BUCKETS)) as u16
}

/// 32-bit FNV-1a (Fowler, Noll, Vo).
fn fnv1a32(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
