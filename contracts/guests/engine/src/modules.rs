//! Compiled frames: private modules of this account, opened by sync calls.
//!
//! **Gas.** A module may burn a number of NEAR gas that follows from its frame's EVM gas alone, far more than compiled
//! code needs. If it wants more than that it misbehaves, and its frame halts exceptionally, on every machine and
//! however much gas was attached. If the *call* runs out first, it fails as a whole: what a transaction does never
//! depends on how much NEAR gas came with it.
//!
//! **Modules that wait.** A module whose frame has ended offers to run the next frame of the same contract, which costs much
//! less than to open one. It has the bound that it was opened with; a frame is given to it only if that bound covers
//! the frame's gas and what the module's frames have spent so far. A module that behaves has burnt less for these,
//! so no frame is ever short of what it would have had in a module of its own. One that may burn all that the call has
//! takes any frame: another would get no more.
//!
//! **Where it pays.** A frame runs compiled where that costs less (`ledger`).
//!
//! **Refusals.** A module that the host does not open (no room for one more live call, no memory, no such module any
//! more) has not run, so its frame is interpreted instead, with the result that it would have had.

use crate::code::{self, Promoted, Shared};
use crate::ledger::{Candidate, Ledger, same};
use crate::limits::FRAME_BYTES;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cotenant_guest::{Call, GAS_ALL, Grants, Live, StepInto, SyncExecutionError, near};
use engine_abi::state;
use evm_parent::{Begun, CodeReader, FrameEnd, FrameFault, LiveModule, ModuleSource, Progress};
use revm::interpreter::interpreter::{EthInterpreter, ExtBytecode};
use revm::interpreter::{CallInput, Interpreter};
use revm::primitives::B256;

/// The method that compiled contracts export.
const METHOD: &str = "run";

/// NEAR gas that a module may burn whatever its frame's EVM gas.
const FIXED_GAS: u64 = 3_000_000_000_000;

/// NEAR gas that it may burn for each unit of its frame's EVM gas. The dearest that compiled code does is hashing
/// (some 300 Mgas a unit).
const GAS_PER_EVM_GAS: u64 = 1_000_000_000;

/// EVM gas that a frame counts as at the least, for what its module does before and after it: the price of a call.
const FRAME_EVM_GAS: u64 = 100;

/// Modules that wait for another frame, at most.
const WAITING_MAX: usize = 16;

/// Faults that a result lists.
const FAULTS_MAX: usize = 8;

/// The largest share of the gas that is left: all but this part, which the engine keeps to fail in words.
const KEPT_PART: u64 = 64;

/// Bytes of a message that come without a second fetch.
const BUFFER_BYTES: usize = 1024;

/// Whether a call is a view, in which gas cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gas is known.
    Call,
    /// It is not.
    View,
}

/// Opens the modules of promoted contracts.
pub struct Modules {
    mode: Mode,
    codes: Shared,
    /// Those that wait for another frame.
    waiting: Vec<Module>,
    faults: Vec<String>,
    ledger: Ledger,
}

/// An opened module.
pub struct Module {
    live: Live,
    /// Whether the bound on its gas is the call's and not its own.
    bound_by_call: bool,
    code_hash: B256,
    /// The EVM gas of a frame that its bound is still good for; `u64::MAX` if it has all that there is.
    evm_gas: u64,
}

impl Modules {
    /// Modules of the code that `codes` finds.
    pub fn new(mode: Mode, codes: Shared) -> Self {
        Self { mode, codes, waiting: Vec::new(), faults: Vec::new(), ledger: Ledger::new() }
    }

    /// EVM gas of promoted contracts that ran compiled, and that was interpreted.
    pub fn promoted_gas(&self) -> (u64, u64) {
        (self.ledger.compiled_gas, self.ledger.interpreted_gas)
    }

    /// What modules did wrong.
    pub fn take_faults(&mut self) -> Vec<String> {
        core::mem::take(&mut self.faults)
    }

    /// The bound of a module's gas, and whether it is the call's.
    fn bound(&self, evm_gas: u64) -> (u64, bool) {
        let own = evm_gas.saturating_mul(GAS_PER_EVM_GAS).saturating_add(FIXED_GAS);
        if self.mode == Mode::View {
            return (own, false);
        }
        let left = near::gas_left();
        let most = left - left / KEPT_PART;
        if own <= most { (own, false) } else { (most, true) }
    }
}

impl Modules {
    /// Opens the module of a contract for a frame with so much gas; `None` if the host does not.
    fn open(&self, code_hash: B256, gas: u64) -> Option<Module> {
        let (bound, bound_by_call) = self.bound(gas);
        // Only modules of an older frame ABI have another name.
        let live = Call::open(&state::namespace(&code_hash.0), METHOD)
            .gas(bound.max(GAS_ALL + 1))
            .grants(Grants::CRYPTO)
            .start()
            .ok()?;
        let evm_gas = if bound_by_call || bound == u64::MAX { u64::MAX } else { gas };
        Some(Module { live, bound_by_call, code_hash, evm_gas })
    }
}

impl ModuleSource for Modules {
    type Live = Module;

    fn begin(
        &mut self,
        frame: &mut Interpreter<EthInterpreter>,
        selector: impl FnOnce(&Interpreter<EthInterpreter>) -> [u8; 4],
        note: &mut u32,
    ) -> Result<Begun<Module>, String> {
        // Init code has no hash; EIP-7702 is resolved already.
        let Some(code_hash) = frame.bytecode.hash() else { return Ok(Begun::Interpreter) };
        if !self.codes.borrow().has_promoted() {
            return Ok(Begun::Interpreter);
        }
        let selector = selector(frame);
        let number = match self.ledger.find(code_hash, selector) {
            Some(number) => number,
            None => match self.codes.borrow().module(code_hash) {
                Some(promoted) => {
                    let Promoted { may_run, code_bytes, .. } = *promoted;
                    self.ledger.note(code_hash, selector, code_bytes, may_run)
                }
                None => return Ok(Begun::Interpreter),
            },
        };
        *note = number as u32 + 1;
        let has_body = !code::is_placeholder(&frame.bytecode);
        if has_body && self.ledger.gave_up(number) {
            return Ok(Begun::Interpreter);
        }
        let gas = frame.gas.remaining();
        let fits = |module: &Module| module.evm_gas >= gas && same(&module.code_hash, &code_hash);
        let place = self.waiting.iter().position(fits);
        let has_body = has_body || self.codes.borrow().has_body(code_hash);
        let candidate = Candidate { gas, has_module: place.is_some(), has_body };
        if fits_a_message(frame) && self.ledger.takes(number, &candidate) {
            if let Some(place) = place {
                return Ok(Begun::Module(self.waiting.swap_remove(place)));
            }
            if let Some(module) = self.open(code_hash, gas) {
                return Ok(Begun::Module(module));
            }
        }
        if code::is_placeholder(&frame.bytecode) {
            let body = self.codes.borrow_mut().body(code_hash);
            frame.bytecode = ExtBytecode::new_with_hash(body, code_hash);
        }
        Ok(Begun::Interpreter)
    }

    fn give_back(&mut self, mut module: Module, gas_spent: u64) {
        if module.evm_gas != u64::MAX {
            let spent = gas_spent.saturating_add(FRAME_EVM_GAS);
            module.evm_gas = module.evm_gas.saturating_sub(spent);
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(module);
        }
    }

    fn ended(&mut self, frame: &FrameEnd) {
        self.ledger.ended(frame);
    }

    fn code_reader(&self) -> CodeReader {
        let codes = Rc::clone(&self.codes);
        Rc::new(move |hash, code| codes.borrow_mut().bytes(hash, code))
    }

    fn fault(&mut self, fault: &FrameFault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault.to_string());
        }
    }
}

/// Whether the input of a frame can be sent to a module. That of a call by a frame always can; that of a transaction may be
/// longer.
fn fits_a_message(frame: &Interpreter<EthInterpreter>) -> bool {
    match &frame.input.input {
        CallInput::Bytes(bytes) => bytes.len() <= FRAME_BYTES as usize,
        CallInput::SharedBuffer(range) => range.len() <= FRAME_BYTES as usize,
    }
}

impl LiveModule for Module {
    fn resume(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<Progress, String> {
        if said.capacity() < BUFFER_BYTES {
            *said = Vec::with_capacity(BUFFER_BYTES);
        }
        match self.live.resume_into_vec(bytes, said) {
            Ok(StepInto::Yielded(_)) => Ok(Progress::Yielded),
            Ok(StepInto::Returned(_)) => Ok(Progress::Done),
            Err(SyncExecutionError::OutOfGas) if self.bound_by_call => {
                cotenant_guest::panic("ERR_NEAR_GAS: attach more gas; nothing has changed")
            }
            Err(error) => {
                Ok(Progress::Failed(FrameFault::Failed { reason: error.name().to_string() }))
            }
        }
    }
}
