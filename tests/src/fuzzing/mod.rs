//! Bodies of fuzz targets: each takes any bytes and panics when it finds something that must not be.
//!
//! `fuzz/` wraps each in a target of libFuzzer; `tests/tests/fuzzing.rs` runs each for a moment over its seeds and changes
//! of them. A body keeps what is dear to make (a registry, a home) for the thread that calls it.
//!
//! | file | says |
//! |---|---|
//! | `deploy.rs` | bytes to a deploy, and what they do if they are taken |
//! | `calls.rs` | call programs against the naive model |
//! | `host_functions.rs` | host functions with wild arguments, against near-vm-runner |
//! | `files.rs` | artifacts and state files of a home |
//! | `evm.rs` | EVM bytecode, compiled, against revm |

mod calls;
mod deploy;
mod evm;
mod files;
mod host_functions;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A target.
pub struct Target {
    /// Its name: that of its file in `fuzz/fuzz_targets/`.
    pub name: &'static str,
    /// What it does with an input.
    pub body: fn(&[u8]),
    /// The inputs that it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "deploy", body: deploy::body, seeds: deploy::seeds },
    Target { name: "calls", body: calls::body, seeds: calls::seeds },
    Target { name: "host_functions", body: host_functions::body, seeds: host_functions::seeds },
    Target { name: "artifacts", body: files::artifact, seeds: files::seeds },
    Target { name: "state_files", body: files::state, seeds: files::seeds },
    Target { name: "evm", body: evm::body, seeds: evm::seeds },
];

/// Runs the body of a target.
///
/// # Panics
/// There is no such target, or the body found something.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target `{name}`")).body)(input);
}

/// Changes an input: bits, bytes, numbers at the edges, pieces left out, doubled or taken from another input.
pub fn mutate(input: &[u8], other: &[u8], rng: &mut StdRng) -> Vec<u8> {
    const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0xffff, 1 << 31, u64::MAX >> 1, u64::MAX];
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let piece = at..rng.random_range(at..=bytes.len().min(at + 64));
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.insert(at, rng.random()),
            3 => drop(bytes.drain(piece)),
            4 => {
                let copy = bytes[piece].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let edge = EDGES.choose(rng).copied().unwrap_or_default().to_le_bytes();
                for (byte, edge) in bytes[at..].iter_mut().zip(edge) {
                    *byte = edge;
                }
            }
            _ => {
                let from = rng.random_range(0..=other.len());
                let to = rng.random_range(from..=other.len().min(from + 64));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}
