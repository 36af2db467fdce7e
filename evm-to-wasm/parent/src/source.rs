//! Where the modules of frames come from, and how one is resumed.

use crate::fault::FrameFault;
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
    /// resolved, init code has none) and its gas; it may be changed only if it is to run the frame itself.
    ///
    /// # Errors
    /// Failures of the embedder's own; the transaction ends with them.
    fn begin(
        &mut self,
        frame: &mut Interpreter<EthInterpreter>,
    ) -> Result<Begun<Self::Live>, String>;

    /// Takes notice of what a module did wrong; its frame ends exceptionally.
    fn fault(&mut self, fault: &FrameFault);

    /// The bytes of code that an account has in the journal. Somebody who knows how to get them may have put code of the
    /// same length there in their place, for contracts that run as modules.
    fn code_bytes(_hash: B256, code: &Bytecode) -> Bytes {
        code.original_bytes()
    }
}

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
    /// What it sends.
    type Bytes: AsRef<[u8]>;

    /// Runs it on. The first bytes are its frame input, later ones its answers.
    ///
    /// # Errors
    /// Failures of the embedder's own; the transaction ends with them.
    fn resume(&mut self, bytes: Vec<u8>) -> Result<Progress<Self::Bytes>, String>;

    /// Whether its frame counts as compiled.
    fn is_compiled(&self) -> bool {
        true
    }
}

/// What a module did when it was resumed.
#[derive(Debug)]
pub enum Progress<B> {
    /// It yields a request and waits for an answer.
    Yielded(B),
    /// It returned its result.
    Done(B),
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
