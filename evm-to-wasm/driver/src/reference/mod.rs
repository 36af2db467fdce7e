//! The frame ABI spoken by revm's interpreter: what a compiled module has to do, message by message.
//!
//! Takes what a module is resumed with, gives what it yields and returns. It asks for nothing twice, defers its
//! effects and knows nothing of a journal, like a compiled module, so a state test that passes this way tests
//! the parent alone: what fails besides is the compiler's. Only for tests; it trusts its parent.

mod cache;

use borsh::BorshDeserialize;
use cache::{Cache, Wanted};
use evm_parent::wire::{from_address, from_word, message, to_address, to_word};
use evm_to_wasm::abi::{
    Answer, CALLDATA_PADDING, CallKind, Effects, FrameInput, Halt, Left, LogHead, Request,
    backwards,
};
use revm::bytecode::opcode as op;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::instructions::contract::get_memory_input_and_out_ranges;
use revm::interpreter::instructions::contract::resize_memory;
use revm::interpreter::interpreter::{EthInterpreter, ExtBytecode};
use revm::interpreter::interpreter_types::{Jumps, LoopControl, MemoryTr};
use revm::interpreter::{
    CallInput, InputsImpl, InstructionResult, Interpreter, InterpreterAction, InterpreterResult,
    SharedMemory,
};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, U256};
use revm::state::Bytecode;
use std::ops::Range;

/// A frame that speaks for itself.
pub(crate) struct ReferenceModule {
    code: Bytes,
    spec: SpecId,
    frame: Option<Frame>,
}

/// What it says.
#[derive(Debug)]
pub(crate) enum Said {
    /// It yields these bytes.
    Yielded(Vec<u8>),
    /// It returns these bytes.
    Done(Vec<u8>),
}

/// An answer that is none: a defect of the parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parent's answer is not what was asked for")]
pub struct BadAnswer;

/// A frame that has got its input.
struct Frame {
    interpreter: Interpreter<EthInterpreter>,
    instructions: EthInstructions<EthInterpreter, Cache>,
    cache: Cache,
    waits_for: Waiting,
    /// Gas that the messages leave out.
    gas_beyond: u64,
}

/// What was asked last.
#[derive(Clone, Debug)]
enum Waiting {
    Nothing,
    Fact(Wanted),
    Call { output: Range<usize>, is_static: bool },
    Create,
}

/// How a step ended.
enum Step {
    On,
    Said(Said),
    Halted(InstructionResult),
}

impl ReferenceModule {
    /// A frame of this code.
    pub(crate) fn new(code: Bytes, spec: SpecId) -> Self {
        Self { code, spec, frame: None }
    }

    /// Takes the input or an answer, and runs until there is something to say.
    pub(crate) fn resume(&mut self, bytes: &[u8]) -> Result<Said, BadAnswer> {
        let frame = match &mut self.frame {
            Some(frame) => {
                frame.answered(bytes)?;
                frame
            }
            frame => frame.insert(Frame::new(bytes, self.code.clone(), self.spec)?),
        };
        Ok(frame.run())
    }
}

impl Frame {
    fn new(mut bytes: &[u8], code: Bytes, spec: SpecId) -> Result<Self, BadAnswer> {
        let head = FrameInput::deserialize(&mut bytes).map_err(|_| BadAnswer)?;
        let hashes = head.blob_hashes as usize * 32;
        let (hashes, calldata) =
            bytes.split_at_checked(hashes + CALLDATA_PADDING).ok_or(BadAnswer)?;
        if calldata.len() != head.calldata_bytes as usize {
            return Err(BadAnswer);
        }
        let inputs = InputsImpl {
            target_address: from_address(head.address),
            bytecode_address: None,
            caller_address: from_address(head.caller),
            input: CallInput::Bytes(backwards(calldata).into()),
            call_value: from_word(head.value),
            depth: 0,
        };
        let interpreter = Interpreter::new(
            SharedMemory::new(),
            ExtBytecode::new(Bytecode::new_legacy(code)),
            inputs,
            head.is_static != 0,
            spec,
            head.gas + head.gas_beyond,
        );
        let hashes = &hashes[..hashes.len() - CALLDATA_PADDING];
        let blob_hashes = hashes.chunks_exact(32).map(U256::from_le_slice).collect();
        Ok(Self {
            interpreter,
            instructions: EthInstructions::new_mainnet_with_spec(spec),
            cache: Cache::new(&head, blob_hashes, spec),
            waits_for: Waiting::Nothing,
            gas_beyond: head.gas_beyond,
        })
    }

    fn run(&mut self) -> Said {
        loop {
            match self.step() {
                Step::On => {}
                Step::Said(said) => return said,
                Step::Halted(result) => {
                    if self.interpreter.bytecode.action().is_none() {
                        self.interpreter.halt(result);
                    }
                    return match self.interpreter.take_next_action() {
                        InterpreterAction::Return(result) => self.done(result),
                        InterpreterAction::NewFrame(_) => unreachable!("calls are not stepped"),
                    };
                }
            }
        }
    }

    fn step(&mut self) -> Step {
        let opcode = self.interpreter.bytecode.opcode();
        if let Some(wanted) = self.cache.wanted(opcode, &self.interpreter) {
            let request = message(&wanted.request(), &[], &[]);
            self.waits_for = Waiting::Fact(wanted);
            return Step::Said(Said::Yielded(request));
        }
        let stepped = match opcode {
            op::CALL => self.call(opcode, CallKind::Call),
            op::CALLCODE => self.call(opcode, CallKind::CallCode),
            op::DELEGATECALL => self.call(opcode, CallKind::DelegateCall),
            op::STATICCALL => self.call(opcode, CallKind::StaticCall),
            op::CREATE | op::CREATE2 => self.create(opcode),
            op::SELFDESTRUCT => self.self_destruct(opcode),
            _ => {
                self.cache.expect(opcode);
                let (table, gas) =
                    (self.instructions.instruction_table(), self.instructions.gas_table());
                self.interpreter.step(table, gas, &mut self.cache).map(|()| None)
            }
        };
        match stepped {
            Ok(None) => Step::On,
            Ok(Some(said)) => Step::Said(said),
            Err(result) => Step::Halted(result),
        }
    }

    /// Steps over an instruction and charges its static gas.
    fn begin(&mut self, opcode: u8) -> Result<(), InstructionResult> {
        self.interpreter.bytecode.relative_jump(1);
        let gas = u64::from(self.instructions.gas_table()[opcode as usize]);
        match self.interpreter.gas.record_regular_cost(gas) {
            true => Ok(()),
            false => Err(InstructionResult::OutOfGas),
        }
    }

    fn pop<const N: usize>(&mut self) -> Result<[U256; N], InstructionResult> {
        self.interpreter.stack.popn().ok_or(InstructionResult::StackUnderflow)
    }

    fn call(&mut self, opcode: u8, kind: CallKind) -> Result<Option<Said>, InstructionResult> {
        self.begin(opcode)?;
        let [gas_asked, to] = self.pop()?;
        let value = match kind {
            CallKind::Call | CallKind::CallCode => self.pop::<1>()?[0],
            CallKind::DelegateCall | CallKind::StaticCall => U256::ZERO,
        };
        let in_static = self.interpreter.runtime_flag.is_static;
        if kind == CallKind::Call && in_static && !value.is_zero() {
            return Err(InstructionResult::CallNotAllowedInsideStatic);
        }
        let (input, output) =
            get_memory_input_and_out_ranges(&mut self.interpreter, self.cache.gas_params())?;
        let input = self.bytes(input);
        let (effects, tail) = self.effects();
        let request = Request::Call {
            kind,
            gas_left: self.interpreter.gas.remaining().saturating_sub(self.gas_beyond),
            gas_asked: u64::try_from(gas_asked).unwrap_or(u64::MAX),
            address: to_word(to),
            value: to_word(value),
            effects,
            memory_bytes: self.interpreter.memory.len() as u32,
            input_bytes: length(&input),
        };
        let is_static = in_static || kind == CallKind::StaticCall;
        self.waits_for = Waiting::Call { output, is_static };
        Ok(Some(Said::Yielded(message(&request, &tail, &input))))
    }

    fn create(&mut self, opcode: u8) -> Result<Option<Said>, InstructionResult> {
        self.begin(opcode)?;
        if self.interpreter.runtime_flag.is_static {
            return Err(InstructionResult::StateChangeDuringStaticCall);
        }
        let [value, offset, size] = self.pop()?;
        let salt = if opcode == op::CREATE2 { Some(self.pop::<1>()?[0]) } else { None };
        let prices = self.cache.gas_params();
        let range = resize_memory(&mut self.interpreter, prices, offset, size)?;
        let init_code = self.bytes(range);
        let (effects, tail) = self.effects();
        let request = Request::Create {
            with_salt: u32::from(salt.is_some()),
            salt: to_word(salt.unwrap_or_default()),
            gas_left: self.interpreter.gas.remaining().saturating_sub(self.gas_beyond),
            value: to_word(value),
            effects,
            memory_bytes: self.interpreter.memory.len() as u32,
            init_code_bytes: length(&init_code),
        };
        self.waits_for = Waiting::Create;
        Ok(Some(Said::Yielded(message(&request, &tail, &init_code))))
    }

    fn self_destruct(&mut self, opcode: u8) -> Result<Option<Said>, InstructionResult> {
        self.begin(opcode)?;
        if self.interpreter.runtime_flag.is_static {
            return Err(InstructionResult::StateChangeDuringStaticCall);
        }
        let [beneficiary] = self.pop()?;
        let (effects, tail) = self.effects();
        let request = Request::SelfDestruct {
            gas_left: self.interpreter.gas.remaining().saturating_sub(self.gas_beyond),
            refund: self.interpreter.gas.refunded(),
            beneficiary: to_word(beneficiary),
            effects,
        };
        Ok(Some(Said::Done(message(&request, &tail, &[]))))
    }

    fn done(&mut self, result: InterpreterResult) -> Said {
        let halt = match result.result {
            ok if ok.is_ok() => Halt::Success,
            InstructionResult::Revert => Halt::Revert,
            _ => Halt::Exceptional,
        };
        let (effects, tail) = match halt {
            Halt::Success => self.effects(),
            Halt::Revert | Halt::Exceptional => Default::default(),
        };
        let output = if halt == Halt::Exceptional { Bytes::new() } else { result.output };
        let request = Request::Done {
            halt,
            gas_left: result.gas.remaining().saturating_sub(self.gas_beyond),
            refund: result.gas.refunded(),
            effects,
            output_bytes: length(&output),
        };
        Said::Done(message(&request, &tail, &output))
    }

    /// A range of memory as revm's call instructions give it: empty ones have no place.
    fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        if range.is_empty() { Vec::new() } else { self.interpreter.memory.slice(range).to_vec() }
    }

    /// What was deferred, as the tail of a message has it.
    fn effects(&mut self) -> (Effects, Vec<u8>) {
        let (logs, storage, transient) = self.cache.take_effects();
        let effects = Effects {
            logs: logs.len() as u32,
            storage_writes: storage.len() as u32,
            transient_writes: transient.len() as u32,
        };
        let mut tail = Vec::new();
        for log in logs {
            let head =
                LogHead { topics: log.topics().len() as u32, data_bytes: length(&log.data.data) };
            tail.extend(message(&head, &[], &[]));
            for topic in log.topics() {
                tail.extend(U256::from_be_bytes(topic.0).to_le_bytes::<32>());
            }
            tail.extend(backwards(&log.data.data));
        }
        for (slot, value) in storage.into_iter().chain(transient) {
            tail.extend(slot.to_le_bytes::<32>());
            tail.extend(value.to_le_bytes::<32>());
        }
        (effects, tail)
    }

    /// Takes the answer to what was asked last.
    fn answered(&mut self, mut bytes: &[u8]) -> Result<(), BadAnswer> {
        let answer = Answer::deserialize(&mut bytes).map_err(|_| BadAnswer)?;
        match (std::mem::replace(&mut self.waits_for, Waiting::Nothing), answer) {
            (Waiting::Fact(wanted), answer) => self.cache.learn(wanted, &answer, bytes),
            (
                Waiting::Call { output, is_static },
                Answer::Returned { success, left, data_bytes },
            ) => {
                self.returned(left, data_bytes, bytes, U256::from(success))?;
                let data = &self.interpreter.return_data.0;
                let copied = data.len().min(output.len());
                if copied > 0 {
                    self.interpreter.memory.set(output.start, &data[..copied]);
                }
                if !is_static {
                    self.cache.forget();
                }
                Ok(())
            }
            (Waiting::Create, Answer::Created { address, left, data_bytes }) => {
                self.returned(left, data_bytes, bytes, from_word(address))?;
                self.cache.forget();
                Ok(())
            }
            _ => Err(BadAnswer),
        }
    }

    fn returned(
        &mut self,
        left: Left,
        data_bytes: u32,
        data: &[u8],
        word: U256,
    ) -> Result<(), BadAnswer> {
        if data.len() != data_bytes as usize || !self.interpreter.stack.push(word) {
            return Err(BadAnswer);
        }
        self.interpreter.return_data.0 = backwards(data).into();
        self.gas_beyond = left.gas_beyond;
        self.interpreter.gas.set_remaining(left.gas + left.gas_beyond);
        Ok(())
    }
}

/// A length as the ABI has it; nothing longer fits a frame's gas.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The low 160 bits of a word of the stack.
fn address_of(word: U256) -> Address {
    from_address(to_word(word))
}

impl Wanted {
    fn request(&self) -> Request {
        match *self {
            Wanted::Slot(slot) => Request::SLoad { slot: to_word(slot) },
            Wanted::Transient(slot) => Request::TLoad { slot: to_word(slot) },
            Wanted::Balance(address) => Request::Balance { address: to_address(address) },
            Wanted::Code(address) => {
                Request::ExtCode { address: to_address(address), with_bytes: 1 }
            }
            Wanted::BlockHash(number) => Request::BlockHash { number },
        }
    }
}
