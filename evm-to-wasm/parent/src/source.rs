//! Where the modules of frames come from, and how one is resumed.

use crate::fault::FrameFault;
use crate::meter::FrameEnd;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use evm_to_wasm::Fork;
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{B256, Bytes};
use revm::state::Bytecode;

/// Opens modules for frames of one transaction after the other.
pub trait ModuleSource {
    /// An opened module; dropping it closes it.
    type Live: LiveModule;

    /// What is to run a frame that has not begun. The interpreter has the frame's code, its hash (EIP-7702 is
    /// resolved, init code has none) and its gas; it may be changed only if it is to run the frame itself. The selector gives
    /// the first four bytes of its input; what is noted comes back with its end ([`FrameEnd::note`]).
    ///
    /// # Errors
    /// Failures of the embedder's own; the transaction ends with them.
    fn begin(
        &mut self,
        frame: &mut Interpreter<EthInterpreter>,
        selector: impl FnOnce(&Interpreter<EthInterpreter>) -> [u8; 4],
        note: &mut u32,
    ) -> Result<Begun<Self::Live>, String>;

    /// Takes a module whose frame has ended, of which it has used so much EVM gas, callees included, and which offers to
    /// run another frame of the same contract: [`begin`](Self::begin) may give it out again. Dropping it closes it.
    fn give_back(&mut self, _module: Self::Live, _gas_spent: u64) {}

    /// Takes notice of a frame that has ended, by whatever ran it.
    fn ended(&mut self, _frame: &FrameEnd) {}

    /// Takes notice of what a module did wrong; its frame ends exceptionally.
    fn fault(&mut self, fault: &FrameFault);

    /// What gives the bytes of code that an account has in the journal. Somebody who knows how to get them may have put
    /// code of the same length there in their place, for contracts that run as modules.
    fn code_reader(&self) -> CodeReader {
        Rc::new(|_, code| code.original_bytes())
    }
}

/// Gives the bytes of code, by its hash and what the journal has of it.
pub type CodeReader = Rc<dyn Fn(B256, &Bytecode) -> Bytes>;

/// What is to run a frame.
#[derive(Debug)]
pub enum Begun<L> {
    /// revm's interpreter.
    Interpreter,
    /// A module.
    Module(L),
    /// Nothing: its module cannot be opened, and the frame ends exceptionally.
    Refused(FrameFault),
}

/// A module that has been opened.
pub trait LiveModule {
    /// Runs it on. The first bytes are a frame input, later ones answers, those to a result the next frame input. What it
    /// sends is put in the place of what `said` has.
    ///
    /// # Errors
    /// Failures of the embedder's own; the transaction ends with them.
    fn resume(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<Progress, String>;

    /// Whether its frame counts as compiled.
    fn is_compiled(&self) -> bool {
        true
    }
}

/// What a module did when it was resumed.
#[derive(Debug)]
pub enum Progress {
    /// It yielded a request and waits for an answer. A result may be yielded too: then it waits for another frame.
    Yielded,
    /// It returned its result, and is no more.
    Done,
    /// It failed.
    Failed(FrameFault),
}

/// The fork of the compiler for revm's; `None` for one that it does not have.
#[must_use]
pub fn fork_of(spec: SpecId) -> Option<Fork> {
    match spec {
        SpecId::CANCUN => Some(Fork::Cancun),
        SpecId::PRAGUE => Some(Fork::Prague),
        SpecId::OSAKA => Some(Fork::Osaka),
        _ => None,
    }
}

/// revm's fork for one of the compiler's.
#[must_use]
pub fn spec_of_fork(fork: Fork) -> SpecId {
    match fork {
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka => SpecId::OSAKA,
    }
}
