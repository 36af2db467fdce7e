//! Operands: edges, and random ones of all lengths.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use revm::primitives::U256;

/// Random numbers; the seed is printed, and taken from `COTENANT_SEED` if that is set.
pub fn random(test: &str) -> StdRng {
    let seed = std::env::var("COTENANT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("{test}: COTENANT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Zero, one, powers of two and their neighbours, the largest, negative ones.
pub fn edges() -> Vec<U256> {
    let mut edges = vec![U256::ZERO, U256::MAX, U256::from(3), U256::from(10), U256::from(1_000)];
    for bit in [0, 1, 5, 7, 8, 31, 32, 63, 64, 65, 127, 128, 191, 192, 193, 254, 255] {
        let power: U256 = U256::ONE << bit;
        edges.extend([power, power - U256::ONE, power.wrapping_neg(), power + U256::ONE]);
    }
    edges.sort();
    edges.dedup();
    edges
}

/// A value of any length, often with long runs of ones and zeros.
pub fn any(random: &mut StdRng) -> U256 {
    let mut value = U256::from_limbs(random.random());
    if random.random_bool(0.4) {
        let runs = random.random_range(1..4);
        value = (0..runs).fold(U256::ZERO, |value, _| {
            let (length, place) = (random.random_range(0..256), random.random_range(0..256));
            value ^ (((U256::ONE << length) - U256::ONE) << place)
        });
    }
    value >>= random.random_range(0..256);
    match random.random_range(0..8) {
        0 => value.wrapping_neg(),
        1 => value.wrapping_add(U256::MAX >> random.random_range(0..256)),
        _ => value,
    }
}
