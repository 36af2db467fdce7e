//! One frame of the EVM that runs as a module, from its input to its result.

use crate::fault::FrameFault;
use crate::meter::Meter;
use crate::serve::{EthContext, Parent, Served};
use crate::source::{LiveModule, Progress};
use crate::wire::{address_to_bytes, encode, message, push_backwards, to_word, word_to_bytes};
use alloc::string::String;
use alloc::vec::Vec;
use evm_to_wasm::abi::{Answer, CALLDATA_PADDING, FRAME_ABI_VERSION, FrameInput, Left, offset};
use revm::context_interface::{ContextTr, Transaction};
use revm::database_interface::Database;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Host, Interpreter};
use revm::primitives::U256;

/// The input of a frame, of which every frame of a transaction has the most part alike: it is made once.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    message: Vec<u8>,
    /// Bytes of the head, the blob hashes, and the padding before calldata.
    before_calldata: usize,
}

/// Bytes to and from modules. One of each will do: they are read before the next ones are written.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) answer: Vec<u8>,
    pub(crate) said: Vec<u8>,
}

/// A frame that has begun.
#[derive(Debug)]
pub(crate) struct LiveFrame<L> {
    module: L,
    waits_for: Waiting,
    /// Bytes of EVM memory that it may have.
    memory_max: u32,
    /// What it has done so far.
    pub(crate) meter: Meter,
}

/// How a frame went on.
#[derive(Debug)]
pub(crate) enum Went {
    /// revm has to act ([`Parent::action`]).
    On,
    /// The same: the frame has ended, and its module offers to run another.
    Finished,
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
    /// Room for the input of most frames.
    const USUAL_BYTES: usize = 1_024;

    /// What a context tells of its block and its transaction.
    pub(crate) fn of<DB: Database>(context: &EthContext<DB>) -> Self {
        // Chain ids and gas limits of blocks are numbers of 64 bits in revm.
        let small = |value: U256| u64::try_from(value).unwrap_or(u64::MAX);
        let prevrandao = context.prevrandao().unwrap_or_else(|| context.difficulty());
        let hashes = context.tx().blob_versioned_hashes();
        let blob_hashes = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
        let mut head = [0; offset::TAIL];
        put(&mut head, offset::VERSION, FRAME_ABI_VERSION.to_le_bytes());
        for (at, word) in [
            (offset::BLOCK_NUMBER, context.block_number()),
            (offset::BLOCK_TIMESTAMP, context.timestamp()),
            (offset::BLOCK_PREVRANDAO, prevrandao),
            (offset::BLOCK_BASE_FEE, context.basefee()),
            (offset::BLOCK_BLOB_BASE_FEE, context.blob_gasprice()),
            (offset::TRANSACTION_GAS_PRICE, context.effective_gas_price()),
        ] {
            put(&mut head, at, word_to_bytes(word));
        }
        put(&mut head, offset::BLOCK_GAS_LIMIT, small(context.gas_limit()).to_le_bytes());
        put(&mut head, offset::BLOCK_CHAIN_ID, small(context.chain_id()).to_le_bytes());
        put(&mut head, offset::BLOCK_COINBASE, address_to_bytes(context.beneficiary()));
        put(&mut head, offset::TRANSACTION_ORIGIN, address_to_bytes(Host::caller(context)));
        put(&mut head, offset::BLOB_HASHES, blob_hashes.to_le_bytes());
        let mut message = Vec::with_capacity(Self::USUAL_BYTES);
        message.extend_from_slice(&head);
        for hash in hashes {
            push_backwards(&mut message, hash.as_slice());
        }
        message.extend_from_slice(&[0; CALLDATA_PADDING]);
        Self { before_calldata: message.len(), message }
    }

    /// The first message to a frame.
    fn input<DB: Database>(&mut self, parent: &Parent<'_, DB>, memory_max: u32) -> &[u8] {
        let (interpreter, context) = (&*parent.interpreter, &*parent.host);
        let input = &interpreter.input;
        let calldata = input.input.as_bytes(context);
        self.message.truncate(self.before_calldata);
        push_backwards(&mut self.message, &calldata);
        if let Some(head) = self.message.first_chunk_mut::<{ offset::TAIL }>() {
            put(
                head,
                offset::IS_STATIC,
                u32::from(interpreter.runtime_flag.is_static).to_le_bytes(),
            );
            let Left { gas, gas_beyond, log_room } = parent.left();
            put(head, offset::GAS, gas.to_le_bytes());
            put(head, offset::GAS_BEYOND, gas_beyond.to_le_bytes());
            put(head, offset::MEMORY_MAX, memory_max.to_le_bytes());
            put(head, offset::LOG_ROOM, log_room.to_le_bytes());
            put(head, offset::VALUE, word_to_bytes(input.call_value));
            put(head, offset::ADDRESS, address_to_bytes(input.target_address));
            put(head, offset::CALLER, address_to_bytes(input.caller_address));
            let calldata_bytes = u32::try_from(calldata.len()).unwrap_or(u32::MAX);
            put(head, offset::CALLDATA_BYTES, calldata_bytes.to_le_bytes());
        }
        &self.message
    }
}

/// Writes a field of the head of an input.
fn put<const N: usize>(head: &mut [u8; offset::TAIL], at: usize, field: [u8; N]) {
    head[at..at + N].copy_from_slice(&field);
}

/// The input of a frame without gas and without anything else.
#[must_use]
pub fn input_without_gas() -> Vec<u8> {
    let head = FrameInput { version: FRAME_ABI_VERSION, ..FrameInput::default() };
    message(&head, &[0; CALLDATA_PADDING], &[])
}

impl<L: LiveModule> LiveFrame<L> {
    /// A frame of which nothing has run, and the module that is to run it.
    pub(crate) fn new(module: L, gas: u64, memory_max: u32) -> Self {
        let meter = Meter { gas_at_start: gas, ..Meter::default() };
        Self { module, waits_for: Waiting::Input, memory_max, meter }
    }

    /// The module of a frame that has finished, and the gas that the frame has used.
    pub(crate) fn into_module(self, interpreter: &Interpreter<EthInterpreter>) -> (L, u64) {
        (self.module, self.meter.gas_at_start.saturating_sub(interpreter.gas.remaining()))
    }

    /// Runs the frame until it wants another one to run or ends, and counts its yields.
    ///
    /// # Errors
    /// The embedder failed. What the module does wrong is the frame's affair.
    pub(crate) fn run<DB: Database>(
        &mut self,
        parent: &mut Parent<'_, DB>,
        environment: &mut Environment,
        said: &mut Vec<u8>,
        yields: &mut u64,
    ) -> Result<Went, String> {
        parent.meter = self.meter;
        let went = self.run_on(parent, environment, said);
        *yields += parent.meter.requests - self.meter.requests;
        self.meter = parent.meter;
        went
    }

    fn run_on<DB: Database>(
        &mut self,
        parent: &mut Parent<'_, DB>,
        environment: &mut Environment,
        said: &mut Vec<u8>,
    ) -> Result<Went, String> {
        let mut progress = match self.waits_for {
            Waiting::Input => {
                let input = environment.input(parent, self.memory_max);
                self.module.resume(input, said)?
            }
            Waiting::Call => {
                answer_of_call(parent);
                self.module.resume(parent.answer, said)?
            }
            Waiting::Create => {
                answer_of_create(parent);
                self.module.resume(parent.answer, said)?
            }
        };
        loop {
            let served = match progress {
                Progress::Yielded => {
                    let served = parent.yielded(said);
                    // A result asks for nothing.
                    parent.meter.requests += u64::from(!matches!(served, Ok(Served::Finished)));
                    served
                }
                Progress::Done => parent.returned(said).map(|()| Served::End),
                Progress::Failed(fault) => Err(fault),
            };
            match served {
                Ok(Served::Answer) => progress = self.module.resume(parent.answer, said)?,
                Ok(Served::Call) => {
                    self.waits_for = Waiting::Call;
                    return Ok(Went::On);
                }
                Ok(Served::Create) => {
                    self.waits_for = Waiting::Create;
                    return Ok(Went::On);
                }
                Ok(Served::End) => return Ok(Went::On),
                Ok(Served::Finished) => return Ok(Went::Finished),
                Err(fault) => return Ok(Went::Wrong(fault)),
            }
        }
    }
}

/// What the callee gave, as revm left it in the caller's interpreter.
fn answer_of_call<DB: Database>(parent: &mut Parent<'_, DB>) {
    let success = u32::from(!pop(parent.interpreter).is_zero());
    let left = parent.left();
    let data = parent.interpreter.return_data.0.as_ref();
    let data_bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
    encode(&Answer::Returned { success, left, data_bytes }, parent.answer);
    push_backwards(parent.answer, data);
}

/// What a creation gave, as revm left it in the creator's interpreter.
fn answer_of_create<DB: Database>(parent: &mut Parent<'_, DB>) {
    let address = to_word(pop(parent.interpreter));
    let left = parent.left();
    let data = parent.interpreter.return_data.0.as_ref();
    let data_bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
    encode(&Answer::Created { address, left, data_bytes }, parent.answer);
    push_backwards(parent.answer, data);
}

/// The word that revm pushed for the frame that ended. Nobody else uses the stack of a compiled frame.
fn pop(interpreter: &mut Interpreter<EthInterpreter>) -> U256 {
    interpreter.stack.pop().unwrap_or_default()
}
