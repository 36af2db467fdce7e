//! Seeds and sizes of random tests: given by `COTENANT_SEED` and `COTENANT_CASES`, or another seed each time.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The value of an environment variable, if it is there and of that kind.
pub fn given<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The seed of this run, printed so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = given("COTENANT_SEED").unwrap_or_else(rand::random);
    println!("COTENANT_SEED={seed}");
    seed
}

/// A generator from the seed of this run.
pub fn rng() -> StdRng {
    StdRng::seed_from_u64(seed())
}

/// How many cases to run.
pub fn cases(usually: u32) -> u32 {
    given("COTENANT_CASES").unwrap_or(usually)
}
