//! One frame of the EVM that runs as a module, from its input to its result.

use crate::fault::FrameFault;
use crate::serve::{EthContext, Parent, Served};
use crate::source::{LiveModule, Progress};
use crate::wire::{message, to_address, to_word};
use alloc::string::String;
use alloc::vec::Vec;
use evm_to_wasm::abi::{
    self, Answer, BlockEnvironment, CALLDATA_PADDING, FRAME_ABI_VERSION, FrameInput,
    TransactionEnvironment,
};
use revm::context_interface::{ContextTr, Transaction};
use revm::database_interface::Database;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    FrameInput as RevmFrameInput, Host, InstructionResult, Interpreter, InterpreterAction,
};
use revm::primitives::{Bytes, U256};

/// Gas of a frame, at most: the ABI's gas is below 2^63.
pub const FRAME_GAS_MAX: u64 = i64::MAX as u64;

/// What every frame of a transaction is told alike.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    block: BlockEnvironment,
    transaction: TransactionEnvironment,
    blob_hashes: u32,
    /// Blob hashes, and the padding before calldata.
    words: Vec<u8>,
}

/// A frame that has begun.
#[derive(Debug)]
pub(crate) struct LiveFrame<L> {
    module: L,
    waits_for: Waiting,
}

/// How a frame went on.
#[derive(Debug)]
pub(crate) enum Went {
    /// revm has to act.
    On(InterpreterAction),
    /// Its module is at fault.
    Wrong(FrameFault),
}

/// What a frame is resumed with next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Input,
    Call,
    Create,
}

impl Environment {
    /// What a context tells of its block and its transaction.
    pub(crate) fn of<DB: Database>(context: &EthContext<DB>) -> Self {
        // Chain ids and gas limits of blocks are numbers of 64 bits in revm.
        let small = |value: U256| u64::try_from(value).unwrap_or(u64::MAX);
        let prevrandao = context.prevrandao().unwrap_or_else(|| context.difficulty());
        let block = BlockEnvironment {
            number: to_word(context.block_number()),
            timestamp: to_word(context.timestamp()),
            prevrandao: to_word(prevrandao),
            base_fee: to_word(context.basefee()),
            blob_base_fee: to_word(context.blob_gasprice()),
            gas_limit: small(context.gas_limit()),
            chain_id: small(context.chain_id()),
            coinbase: to_address(context.beneficiary()),
        };
        let transaction = TransactionEnvironment {
            gas_price: to_word(context.effective_gas_price()),
            origin: to_address(Host::caller(context)),
        };
        let hashes = context.tx().blob_versioned_hashes();
        let words = hashes.iter().flat_map(|hash| abi::word(hash.0));
        let mut hashes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let blob_hashes = u32::try_from(hashes.len() / 32).unwrap_or(u32::MAX);
        hashes.extend([0; CALLDATA_PADDING]);
        Self { block, transaction, blob_hashes, words: hashes }
    }

    /// The first message to a frame.
    fn input<DB: Database>(
        &self,
        interpreter: &Interpreter<EthInterpreter>,
        context: &EthContext<DB>,
    ) -> Vec<u8> {
        let input = &interpreter.input;
        let calldata = input.input.as_bytes(context);
        let head = FrameInput {
            version: FRAME_ABI_VERSION,
            is_static: u32::from(interpreter.runtime_flag.is_static),
            gas: interpreter.gas.remaining(),
            value: to_word(input.call_value),
            block: self.block,
            transaction: self.transaction,
            address: to_address(input.target_address),
            caller: to_address(input.caller_address),
            blob_hashes: self.blob_hashes,
            calldata_bytes: u32::try_from(calldata.len()).unwrap_or(u32::MAX),
        };
        message(&head, &self.words, &calldata)
    }
}

/// The input of a frame without gas and without anything else.
#[must_use]
pub fn input_without_gas() -> Vec<u8> {
    let head = FrameInput { version: FRAME_ABI_VERSION, ..FrameInput::default() };
    message(&head, &[0; CALLDATA_PADDING], &[])
}

impl<L: LiveModule> LiveFrame<L> {
    /// A frame whose module has been opened; nothing of it has run.
    pub(crate) fn new(module: L) -> Self {
        Self { module, waits_for: Waiting::Input }
    }

    /// Runs the frame until it wants another one to run or ends, and counts its yields.
    ///
    /// # Errors
    /// The embedder failed. What the module does wrong is the frame's affair.
    pub(crate) fn run<DB: Database>(
        &mut self,
        parent: &mut Parent<'_, DB>,
        environment: &Environment,
        yields: &mut u64,
    ) -> Result<Went, String> {
        let mut bytes = match self.waits_for {
            Waiting::Input => environment.input(parent.interpreter, parent.host),
            Waiting::Call => message_of_call(parent.interpreter),
            Waiting::Create => message_of_create(parent.interpreter),
        };
        loop {
            let served = match self.module.resume(bytes)? {
                Progress::Yielded(request) => {
                    *yields += 1;
                    parent.yielded(request.as_ref())
                }
                Progress::Done(result) => parent.returned(result.as_ref()).map(Served::End),
                Progress::Failed(fault) => Err(fault),
            };
            match served {
                Ok(Served::Answer(answer)) => bytes = answer,
                Ok(Served::Child(child)) => {
                    self.waits_for = match &child {
                        RevmFrameInput::Create(_) => Waiting::Create,
                        _ => Waiting::Call,
                    };
                    return Ok(Went::On(InterpreterAction::NewFrame(child)));
                }
                Ok(Served::End(action)) => return Ok(Went::On(action)),
                Err(fault) => return Ok(Went::Wrong(fault)),
            }
        }
    }
}

/// Ends a frame whose module is at fault.
pub(crate) fn failed<DB: Database>(parent: &mut Parent<'_, DB>) -> InterpreterAction {
    parent.ended(InstructionResult::OpcodeNotFound, Bytes::new())
}

/// What the callee gave, as revm left it in the caller's interpreter.
fn message_of_call(interpreter: &mut Interpreter<EthInterpreter>) -> Vec<u8> {
    let success = pop(interpreter);
    let data = interpreter.return_data.0.as_ref();
    let head = Answer::Returned {
        success: u32::from(!success.is_zero()),
        gas_left: interpreter.gas.remaining(),
        data_bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
    };
    message(&head, &[], data)
}

/// What a creation gave, as revm left it in the creator's interpreter.
fn message_of_create(interpreter: &mut Interpreter<EthInterpreter>) -> Vec<u8> {
    let address = to_word(pop(interpreter));
    let data = interpreter.return_data.0.as_ref();
    let head = Answer::Created {
        address,
        gas_left: interpreter.gas.remaining(),
        data_bytes: u32::try_from(data.len()).unwrap_or(u32::MAX),
    };
    message(&head, &[], data)
}

/// The word that revm pushed for the frame that ended. Nobody else uses the stack of a compiled frame.
fn pop(interpreter: &mut Interpreter<EthInterpreter>) -> U256 {
    interpreter.stack.pop().unwrap_or_default()
}
