//! The precompiles of the EVM that are too large for the engine, or that a function of the host can end: a private
//! module, so that what is never called is never loaded, and so that a point which the host refuses fails this call
//! alone. Must be granted `crypto`.
//!
//! revm's own precompiles, with alt_bn128 on the host.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use borsh::BorshDeserialize;
use cotenant_guest::{near, panic, value_return};
use engine_abi::Fork;
use engine_abi::precompile::{Ran, Run};
use revm_precompile::primitives::Address;
use revm_precompile::{
    Crypto, PrecompileHalt, PrecompileSpecId, PrecompileStatus, Precompiles, install_crypto,
    u64_to_address,
};
use ruint::aliases::U256;
use ruint::uint;

cotenant_guest::bare_module!();

/// The order of the group of alt_bn128 (EIP-196); the host takes scalars below it.
const ORDER: U256 =
    uint!(21888242871839275222246405745257275088548364400416034343698204186575808495617_U256);

/// Bytes of a coordinate or a scalar.
const WORD: usize = 32;

/// alt_bn128 on the host, everything else revm's.
#[derive(Debug)]
struct HostCrypto;

impl Crypto for HostCrypto {
    fn bn254_g1_add(&self, left: &[u8], right: &[u8]) -> Result<[u8; 64], PrecompileHalt> {
        let mut points = Vec::with_capacity(2 * (1 + 2 * WORD));
        for point in [left, right] {
            points.push(0);
            push_turned(&mut points, point, WORD);
        }
        Ok(turned(near::alt_bn128_g1_sum(&points)))
    }

    fn bn254_g1_mul(&self, point: &[u8], scalar: &[u8]) -> Result<[u8; 64], PrecompileHalt> {
        let mut product = Vec::with_capacity(3 * WORD);
        push_turned(&mut product, point, WORD);
        let scalar = U256::try_from_be_slice(scalar).unwrap_or_default() % ORDER;
        product.extend_from_slice(&scalar.to_le_bytes::<WORD>());
        Ok(turned(near::alt_bn128_g1_multiexp(&product)))
    }

    fn bn254_pairing_check(&self, pairs: &[(&[u8], &[u8])]) -> Result<bool, PrecompileHalt> {
        let mut bytes = Vec::with_capacity(pairs.len() * 6 * WORD);
        for (first, second) in pairs {
            push_turned(&mut bytes, first, WORD);
            // EIP-197 has the imaginary part first, the host the real one.
            push_turned(&mut bytes, second, 2 * WORD);
        }
        Ok(near::alt_bn128_pairing_check(&bytes))
    }
}

/// Runs a precompile.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    let Ok(Run { number, fork, gas_limit, input }) = Run::try_from_slice(&cotenant_guest::input())
    else {
        panic("the input is borsh of a run")
    };
    install_crypto(HostCrypto);
    let precompiles = Precompiles::new(match fork {
        Fork::Cancun => PrecompileSpecId::CANCUN,
        Fork::Prague => PrecompileSpecId::PRAGUE,
        Fork::Osaka => PrecompileSpecId::OSAKA,
    });
    let address: Address = u64_to_address(u64::from(number));
    let Some(precompile) = precompiles.get(&address) else {
        panic("the fork has no such precompile")
    };
    let ran = match precompile.execute(&input, gas_limit, 0) {
        Ok(output) => match output.status {
            PrecompileStatus::Success => {
                Ran::Success { gas_used: output.gas_used, output: output.bytes.to_vec() }
            }
            PrecompileStatus::Halt(reason) if reason.is_oog() => Ran::OutOfGas,
            PrecompileStatus::Revert | PrecompileStatus::Halt(_) => Ran::Refused,
        },
        Err(_) => Ran::Refused,
    };
    match borsh::to_vec(&ran) {
        Ok(bytes) => value_return(&bytes),
        Err(_) => panic("the output is too long"),
    }
}

/// Appends words with the order of their bytes turned, `width` bytes at a time.
fn push_turned(to: &mut Vec<u8>, bytes: &[u8], width: usize) {
    for word in bytes.chunks(width) {
        to.extend(word.iter().rev());
    }
}

fn turned(mut point: [u8; 64]) -> [u8; 64] {
    point[..WORD].reverse();
    point[WORD..].reverse();
    point
}
