//! Precompiles of the EVM: small ones over functions of the host, the others in a private module of their own
//! (`evm-precompiles`), which is opened when one is called.

use crate::limits::FRAME_BYTES;
use alloc::string::{String, ToString};
use borsh::BorshDeserialize;
use cotenant_guest::near::{self, Malleable};
use cotenant_guest::{Call, Grants, Step, SyncExecutionError};
use engine_abi::Fork;
use engine_abi::precompile::{METHOD, NAMESPACE, Ran, Run};
use revm::context_interface::ContextTr;
use revm::handler::PrecompileProvider;
use revm::interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult};
use revm::primitives::{Address, AddressSet, Bytes, U256};

const ECRECOVER: u16 = 1;
const SHA256: u16 = 2;
const RIPEMD160: u16 = 3;
const IDENTITY: u16 = 4;

/// The last precompile of Cancun: point evaluation (EIP-4844).
const LAST_OF_CANCUN: u16 = 0x0a;

/// The last of Prague: those of BLS12-381 (EIP-2537).
const LAST_OF_PRAGUE: u16 = 0x11;

/// P256VERIFY (EIP-7951), of Osaka.
const P256_VERIFY: u16 = 0x100;

/// The precompiles of a fork.
pub struct HostPrecompiles {
    fork: Fork,
    /// None: the handler warms them.
    warm: AddressSet,
}

impl HostPrecompiles {
    /// Those of a fork.
    pub fn new(fork: Fork) -> Self {
        Self { fork, warm: AddressSet::default() }
    }

    /// Where they are.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + use<> {
        let last = if self.fork == Fork::Cancun { LAST_OF_CANCUN } else { LAST_OF_PRAGUE };
        let more = (self.fork == Fork::Osaka).then_some(P256_VERIFY);
        (ECRECOVER..=last).chain(more).map(address)
    }

    /// The number of a precompile of the fork.
    fn number(&self, address: &Address) -> Option<u16> {
        let (zeros, number) = address.as_slice().split_at(18);
        let number = u16::from_be_bytes([number[0], number[1]]);
        let known = match self.fork {
            Fork::Cancun => (ECRECOVER..=LAST_OF_CANCUN).contains(&number),
            Fork::Prague => (ECRECOVER..=LAST_OF_PRAGUE).contains(&number),
            Fork::Osaka => (ECRECOVER..=LAST_OF_PRAGUE).contains(&number) || number == P256_VERIFY,
        };
        (known && zeros.iter().all(|byte| *byte == 0)).then_some(number)
    }
}

impl<C: ContextTr> PrecompileProvider<C> for HostPrecompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _: <C::Cfg as revm::context_interface::Cfg>::Spec) -> bool {
        // The fork of an engine never changes.
        false
    }

    fn run(
        &mut self,
        context: &mut C,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let Some(number) = self.number(&inputs.bytecode_address) else { return Ok(None) };
        let input = inputs.input.as_bytes(context);
        let ran = match number {
            ECRECOVER => priced(3_000, 0, &input, inputs.gas_limit, ecrecover),
            SHA256 => priced(60, 12, &input, inputs.gas_limit, |input| {
                Bytes::copy_from_slice(&near::sha256(input))
            }),
            RIPEMD160 => priced(600, 120, &input, inputs.gas_limit, |input| {
                let mut word = [0; 32];
                word[12..].copy_from_slice(&near::ripemd160(input));
                Bytes::copy_from_slice(&word)
            }),
            IDENTITY => priced(15, 3, &input, inputs.gas_limit, Bytes::copy_from_slice),
            _ => large(Run {
                number,
                fork: self.fork,
                gas_limit: inputs.gas_limit,
                input: input.to_vec(),
            })?,
        };
        Ok(Some(result(ran, inputs)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }

    fn contains(&self, address: &Address) -> bool {
        self.number(address).is_some()
    }
}

fn address(number: u16) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

/// A precompile that costs something, and something for each word of its input, and always succeeds.
fn priced(base: u64, word: u64, input: &[u8], gas_limit: u64, run: fn(&[u8]) -> Bytes) -> Ran {
    let gas_used = base + word * input.len().div_ceil(32) as u64;
    if gas_used > gas_limit {
        return Ran::OutOfGas;
    }
    Ran::Success { gas_used, output: run(input).to_vec() }
}

/// Hash, parity (27 or 28), r and s, a word each; nothing for what is no signature.
fn ecrecover(input: &[u8]) -> Bytes {
    let mut words = [0; 128];
    let bytes = input.len().min(words.len());
    words[..bytes].copy_from_slice(&input[..bytes]);
    let (mut hash, mut signature) = ([0; 32], [0; 64]);
    hash.copy_from_slice(&words[..32]);
    signature.copy_from_slice(&words[64..]);
    let parity = U256::from_be_slice(&words[32..64]);
    let recovery = match u8::try_from(parity) {
        Ok(parity @ (27 | 28)) => parity - 27,
        _ => return Bytes::new(),
    };
    let Some(key) = near::ecrecover(&hash, &signature, recovery, Malleable::Yes) else {
        return Bytes::new();
    };
    let mut word = [0; 32];
    word[12..].copy_from_slice(&near::keccak256(&key)[12..]);
    Bytes::copy_from_slice(&word)
}

/// Runs a precompile in the module that has it.
fn large(run: Run) -> Result<Ran, String> {
    let input = crate::database::encode(&run);
    let step = Call::open(NAMESPACE, METHOD)
        .grants(Grants::CRYPTO)
        .start()
        .and_then(|mut live| live.resume(&input));
    match step {
        Ok(Step::Returned(bytes)) => {
            match Ran::try_from_slice(&bytes) {
                // No frame could be given it.
                Ok(Ran::Success { output, .. }) if output.len() > FRAME_BYTES as usize => {
                    Ok(Ran::Refused)
                }
                Ok(ran) => Ok(ran),
                Err(_) => Err("ERR_PRECOMPILES: no answer".to_string()),
            }
        }
        // The host ends the module where a point is on no curve.
        Err(SyncExecutionError::HostError(_)) => Ok(Ran::Refused),
        Err(SyncExecutionError::NamespaceNotFound) => {
            Err("ERR_PRECOMPILES: deploy the module evm_precompiles".to_string())
        }
        Err(error) => {
            let mut message = "ERR_PRECOMPILES: ".to_string();
            message.push_str(error.name());
            Err(message)
        }
        Ok(Step::Yielded(_)) => Err("ERR_PRECOMPILES: it asks".to_string()),
    }
}

/// What revm makes of it (`precompile_output_to_interpreter_result`).
fn result(ran: Ran, inputs: &CallInputs) -> InterpreterResult {
    let mut gas = Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit, inputs.reservoir);
    let (result, output) = match ran {
        Ran::Success { gas_used, output } if gas.record_regular_cost(gas_used) => {
            (InstructionResult::Return, Bytes::from(output))
        }
        Ran::Success { .. } | Ran::OutOfGas => (InstructionResult::PrecompileOOG, Bytes::new()),
        Ran::Refused => (InstructionResult::PrecompileError, Bytes::new()),
    };
    if result.is_halt() {
        gas.spend_all();
    }
    InterpreterResult::new(result, output, gas)
}
