//! Medians and spreads. A probe gives nanoseconds for one operation; it is run several times.

use serde::Serialize;

/// What several runs of a probe gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of some values.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), min: at(0), max: at(values.len().saturating_sub(1)) }
    }
}

impl Spread {
    /// What a monotonous function makes of each of the three.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { median: f(self.median), min: f(self.min), max: f(self.max) }
    }

    /// A row of a table.
    pub fn row(&self, name: &str, digits: usize) -> Vec<String> {
        let mut cells = vec![name.to_owned()];
        cells.extend([self.median, self.min, self.max].map(|value| format!("{value:.digits$}")));
        cells
    }
}

/// Two probes taken in turns, and the first over the second pair by pair.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// The first probe.
    pub left: Spread,
    /// The second.
    pub right: Spread,
    /// First over second.
    pub ratio: Spread,
}

/// Runs that are thrown away before any counts.
const WARM_UP: usize = 3;

/// Takes a probe several times.
pub fn sample(
    runs: usize,
    mut probe: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Spread> {
    for _ in 0..WARM_UP {
        probe()?;
    }
    Ok(Spread::of((0..runs).map(|_| probe()).collect::<Result<_, _>>()?))
}

/// Takes two probes in turns, several times; which one is first changes from turn to turn.
pub fn pair(
    runs: usize,
    mut left: impl FnMut() -> anyhow::Result<f64>,
    mut right: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Pair> {
    for _ in 0..WARM_UP {
        left()?;
        right()?;
    }
    let (mut lefts, mut rights, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let (a, b) = if run % 2 == 0 {
            let a = left()?;
            (a, right()?)
        } else {
            let b = right()?;
            (left()?, b)
        };
        lefts.push(a);
        rights.push(b);
        ratios.push(a / b);
    }
    Ok(Pair { left: Spread::of(lefts), right: Spread::of(rights), ratio: Spread::of(ratios) })
}

/// Nanoseconds for one of `count` operations that `f` does together.
pub fn nanos_each(count: u64, f: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = std::time::Instant::now();
    f()?;
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}

/// The geometric mean.
pub fn geomean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value.ln();
        count += 1.0;
    }
    f64::exp(sum / count)
}
