//! What a parent does for each request, out of revm's journal (`docs/spec/evm.md`, section 2).
//!
//! Everything that the module charges itself it has charged before; here is charged what is marked P there, by
//! revm's own gas parameters, in the order of revm's own instructions.

use crate::effects::{Flushed, Message, asked_slot};
use crate::fault::FrameFault;
use crate::limits::{Limits, LogMeter};
use crate::meter::Meter;
use crate::wire::{encode, from_address, from_word, push_backwards, to_word, word_to_bytes};
use alloc::boxed::Box;
use alloc::vec::Vec;
use evm_to_wasm::abi::{self, Answer, CallKind, Effects, GAS_MAX, Halt, Left, Request};
use revm::context_interface::CreateScheme;
use revm::context_interface::host::LoadError;
use revm::database_interface::Database;
use revm::interpreter::instructions::contract::load_acc_and_calc_gas;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    CallInput, CallInputs, CallScheme, CallValue, CreateInputs, FrameInput, Host,
    InstructionContext, InstructionResult, Interpreter, InterpreterAction,
};
use revm::primitives::{Address, B256, Bytes, U256};
use revm::state::Bytecode;

/// Tag of [`Answer::Slot`].
const SLOT_TAG: u8 = 0;

/// A context of revm's, for Ethereum.
pub type EthContext<DB> = revm::handler::MainnetContext<DB>;

/// What a request comes to. What goes with it is in the [`Parent`]: these are passed on at each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The module goes on with [`Parent::answer`].
    Answer,
    /// Another frame runs first ([`Parent::action`]); its result is the answer.
    Call,
    /// The same, of a creation.
    Create,
    /// The frame has ended with [`Parent::action`].
    End,
    /// The same, and its module offers to run another.
    Finished,
}

/// One frame that is being served: revm's interpreter, which does not run, and revm's context.
pub(crate) struct Parent<'a, DB: Database> {
    pub(crate) interpreter: &'a mut Interpreter<EthInterpreter>,
    pub(crate) host: &'a mut EthContext<DB>,
    /// [`ModuleSource::code_reader`](crate::ModuleSource::code_reader).
    pub(crate) code_reader: &'a dyn Fn(B256, &Bytecode) -> Bytes,
    pub(crate) answer: &'a mut Vec<u8>,
    pub(crate) action: Option<InterpreterAction>,
    pub(crate) limits: Limits,
    pub(crate) logs: &'a LogMeter,
    pub(crate) meter: Meter,
    /// Bytes of EVM memory that the frame had when it called.
    pub(crate) memory_bytes: u32,
}

impl<DB: Database> Parent<'_, DB> {
    /// Serves what a module yielded.
    pub(crate) fn yielded(&mut self, bytes: &[u8]) -> Result<Served, FrameFault> {
        if let Some(slot) = asked_slot(bytes) {
            return Ok(self.slot(slot));
        }
        let message = Message::parse(bytes)?;
        match message.request {
            Request::SLoad { slot } => message.empty().map(|()| self.slot(from_word(slot))),
            Request::TLoad { slot } => {
                message.empty()?;
                let value = self.host.tload(self.address(), from_word(slot));
                Ok(self.answer(&Answer::Word(to_word(value))))
            }
            Request::Balance { address } => {
                message.empty().map(|()| self.balance(from_address(address)))
            }
            Request::ExtCode { address, with_bytes } => {
                message.empty().map(|()| self.code(from_address(address), with_bytes != 0))
            }
            Request::BlockHash { number } => {
                message.empty()?;
                Ok(match self.host.block_hash(number) {
                    Some(hash) => self.answer(&Answer::Word(abi::word(hash.0))),
                    None => self.fatal(),
                })
            }
            Request::Call { .. } => self.call(message),
            Request::Create { .. } => self.create(message),
            Request::Flush { effects } => {
                let flushed = self.flush(message, &effects, 0)?;
                Ok(if flushed.database_failed {
                    self.fatal()
                } else {
                    self.answer(&Answer::Word([0; 4]))
                })
            }
            Request::SelfDestruct { .. } | Request::Done { .. } => {
                self.result(message).map(|()| Served::Finished)
            }
        }
    }

    /// Serves what a module returned.
    pub(crate) fn returned(&mut self, bytes: &[u8]) -> Result<(), FrameFault> {
        self.result(Message::parse(bytes)?)
    }

    fn result(&mut self, message: Message<'_>) -> Result<(), FrameFault> {
        match message.request {
            Request::Done { halt, gas_left, refund, effects, output_bytes } => {
                self.done(message, halt, gas_left, refund, effects, output_bytes)
            }
            Request::SelfDestruct { gas_left, refund, beneficiary, effects } => {
                self.self_destruct(message, gas_left, refund, from_address(beneficiary), effects)
            }
            _ => Err(FrameFault::out_of_place(
                &message.request,
                "a result is either Done or SelfDestruct",
            )),
        }
    }

    /// The address whose storage and balance the frame has.
    fn address(&self) -> Address {
        self.interpreter.input.target_address
    }

    fn is_static(&self) -> bool {
        self.interpreter.runtime_flag.is_static
    }

    fn slot(&mut self, slot: U256) -> Served {
        let address = self.address();
        let journal = &mut self.host.journaled_state;
        let Some(mut account) = journal.inner.get_account_mut(&mut journal.database, address)
        else {
            return self.fatal();
        };
        match account.sload_concrete_error(slot, false) {
            Ok(load) => {
                self.meter.slot(load.is_cold);
                // The borsh of `Answer::Slot`.
                self.answer.clear();
                self.answer.push(SLOT_TAG);
                self.answer.extend_from_slice(&word_to_bytes(load.data.present_value));
                self.answer.extend_from_slice(&word_to_bytes(load.data.original_value));
                self.answer.extend_from_slice(&u32::from(load.is_cold).to_le_bytes());
                Served::Answer
            }
            Err(error) => {
                if let (_, Some(error)) = error.into_parts() {
                    self.host.error = Err(error.into());
                }
                self.fatal()
            }
        }
    }

    fn balance(&mut self, address: Address) -> Served {
        match self.host.load_account_info_skip_cold_load(address, false, false) {
            Ok(load) => {
                let (balance, cold) = (to_word(load.account.balance), u32::from(load.is_cold));
                self.meter.account(load.is_cold);
                self.answer(&Answer::Balance { balance, cold })
            }
            Err(_) => self.fatal(),
        }
    }

    fn code(&mut self, address: Address, with_bytes: bool) -> Served {
        let Ok(load) = self.host.load_account_info_skip_cold_load(address, true, false) else {
            return self.fatal();
        };
        let hash = if load.is_empty { B256::ZERO } else { load.account.code_hash };
        let code = load.account.code.as_ref();
        let head = Answer::Code {
            hash: abi::word(hash.0),
            code_bytes: u32::try_from(code.map_or(0, Bytecode::len)).unwrap_or(u32::MAX),
            cold: u32::from(load.is_cold),
        };
        self.meter.account(load.is_cold);
        let bytes = code.filter(|_| with_bytes).map(|code| (self.code_reader)(hash, code));
        self.answer(&head);
        push_backwards(self.answer, &bytes.unwrap_or_default());
        Served::Answer
    }

    fn call(&mut self, message: Message<'_>) -> Result<Served, FrameFault> {
        let Request::Call {
            kind,
            gas_left,
            gas_asked,
            address,
            value,
            effects,
            memory_bytes,
            input_bytes,
        } = message.request
        else {
            return Err(FrameFault::out_of_place(&message.request, "a call was expected"));
        };
        let (to, value) = (from_address(address), from_word(value));
        let transfers = !value.is_zero();
        if self.is_static() && transfers && kind == CallKind::Call {
            return Err(FrameFault::out_of_place(
                &message.request,
                "a static frame transfers nothing",
            ));
        }
        if transfers && matches!(kind, CallKind::DelegateCall | CallKind::StaticCall) {
            return Err(FrameFault::out_of_place(
                &message.request,
                "this instruction has no value",
            ));
        }
        self.gas_left(&message.request, gas_left)?;
        let flushed = self.flush(message, &effects, input_bytes)?;
        if flushed.database_failed {
            return Ok(self.fatal());
        }
        self.memory_bytes = memory_bytes;
        let input = flushed.payload;
        let gas_before = self.interpreter.gas.remaining();
        let mut context =
            InstructionContext { interpreter: &mut *self.interpreter, host: &mut *self.host };
        let is_call = kind == CallKind::Call;
        let loaded = load_acc_and_calc_gas(&mut context, to, transfers, is_call, gas_asked);
        let (gas_limit, bytecode, code_hash, charged_new_account_state_gas) = match loaded {
            Ok(loaded) => loaded,
            Err(result) => return Ok(self.halt(result)),
        };
        // The stipend is not the caller's gas.
        let stipend = if transfers { self.host.gas_params().call_stipend() } else { 0 };
        let paid = gas_before.saturating_sub(self.interpreter.gas.remaining());
        self.meter.world_gas += paid.saturating_sub(gas_limit.saturating_sub(stipend));
        let own = &self.interpreter.input;
        let (scheme, target_address, caller, value) = match kind {
            CallKind::Call => {
                (CallScheme::Call, to, own.target_address, CallValue::Transfer(value))
            }
            CallKind::CallCode => {
                let target = own.target_address;
                (CallScheme::CallCode, target, target, CallValue::Transfer(value))
            }
            CallKind::DelegateCall => (
                CallScheme::DelegateCall,
                own.target_address,
                own.caller_address,
                CallValue::Apparent(own.call_value),
            ),
            CallKind::StaticCall => {
                (CallScheme::StaticCall, to, own.target_address, CallValue::Transfer(value))
            }
        };
        let inputs = FrameInput::Call(Box::new(CallInputs {
            input: CallInput::Bytes(input),
            gas_limit,
            target_address,
            caller,
            bytecode_address: to,
            known_bytecode: (code_hash, bytecode),
            value,
            scheme,
            is_static: self.is_static() || kind == CallKind::StaticCall,
            // The module copies return data itself. This is revm's own empty range.
            return_memory_offset: usize::MAX..usize::MAX,
            reservoir: self.interpreter.gas.reservoir(),
            charged_new_account_state_gas,
        }));
        self.action = Some(InterpreterAction::NewFrame(inputs));
        Ok(Served::Call)
    }

    fn create(&mut self, message: Message<'_>) -> Result<Served, FrameFault> {
        let Request::Create {
            with_salt,
            salt,
            gas_left,
            value,
            effects,
            memory_bytes,
            init_code_bytes,
        } = message.request
        else {
            return Err(FrameFault::out_of_place(&message.request, "a creation was expected"));
        };
        if self.is_static() {
            return Err(FrameFault::out_of_place(&message.request, "a static frame creates none"));
        }
        self.gas_left(&message.request, gas_left)?;
        let flushed = self.flush(message, &effects, init_code_bytes)?;
        if flushed.database_failed {
            return Ok(self.fatal());
        }
        self.memory_bytes = memory_bytes;
        let code = flushed.payload;
        // EIP-3860: twice the size of a contract, at most.
        if code.len() > self.host.max_initcode_size() {
            return Ok(self.halt(InstructionResult::CreateInitCodeSizeLimit));
        }
        let prices = self.host.gas_params();
        let (scheme, base) = if with_salt == 0 {
            (CreateScheme::Create, prices.create_cost())
        } else {
            let salt = from_word(salt);
            (CreateScheme::Create2 { salt }, prices.create2_cost(code.len()))
        };
        let init_code = if code.is_empty() { 0 } else { prices.initcode_cost(code.len()) };
        let gas = &mut self.interpreter.gas;
        if !gas.record_regular_cost(init_code) || !gas.record_regular_cost(base) {
            return Ok(self.halt(InstructionResult::OutOfGas));
        }
        self.meter.world_gas += init_code + base;
        // EIP-150: all but a 64th.
        let gas_limit = prices.call_stipend_reduction(gas.remaining());
        if !gas.record_regular_cost(gas_limit) {
            return Ok(self.halt(InstructionResult::OutOfGas));
        }
        let reservoir = gas.reservoir();
        let (creator, value) = (self.address(), from_word(value));
        let inputs = CreateInputs::new(creator, scheme, value, code, gas_limit, reservoir);
        let inputs = FrameInput::Create(Box::new(inputs));
        self.action = Some(InterpreterAction::NewFrame(inputs));
        Ok(Served::Create)
    }

    fn self_destruct(
        &mut self,
        message: Message<'_>,
        gas_left: u64,
        refund: i64,
        beneficiary: Address,
        effects: Effects,
    ) -> Result<(), FrameFault> {
        if self.is_static() {
            return Err(FrameFault::out_of_place(&message.request, "a static frame destroys none"));
        }
        let request = message.request;
        self.gas_left(&request, gas_left)?;
        if self.flush(message, &effects, 0)?.database_failed {
            self.ended(InstructionResult::FatalExternalError, Bytes::new());
            return Ok(());
        }
        let cold_gas = self.host.gas_params().selfdestruct_cold_cost();
        let skip_cold_load = self.interpreter.gas.remaining() < cold_gas;
        let address = self.address();
        let destroyed = match self.host.selfdestruct(address, beneficiary, skip_cold_load) {
            Ok(destroyed) => destroyed,
            Err(LoadError::ColdLoadSkipped) => {
                self.ended(InstructionResult::OutOfGas, Bytes::new());
                return Ok(());
            }
            Err(LoadError::DBError) => {
                self.ended(InstructionResult::FatalExternalError, Bytes::new());
                return Ok(());
            }
        };
        let prices = self.host.gas_params();
        // EIP-161: a new account is paid for only if it gets something.
        let new_account = destroyed.had_value && !destroyed.target_exists;
        let cost = prices.selfdestruct_cost(new_account, destroyed.is_cold);
        if !self.interpreter.gas.record_regular_cost(cost) {
            self.ended(InstructionResult::OutOfGas, Bytes::new());
            return Ok(());
        }
        if !destroyed.previously_destroyed {
            self.interpreter.gas.record_refund(prices.selfdestruct_refund());
        }
        self.refund(&request, refund)?;
        self.ended(InstructionResult::SelfDestruct, Bytes::new());
        Ok(())
    }

    fn done(
        &mut self,
        message: Message<'_>,
        halt: Halt,
        gas_left: u64,
        refund: i64,
        effects: Effects,
        output_bytes: u32,
    ) -> Result<(), FrameFault> {
        if halt != Halt::Success && effects != Effects::default() {
            return Err(FrameFault::out_of_place(&message.request, "only success has effects"));
        }
        if halt == Halt::Exceptional {
            self.ended(InstructionResult::OutOfGas, Bytes::new());
            return Ok(());
        }
        let request = message.request;
        self.gas_left(&request, gas_left)?;
        let flushed = self.flush(message, &effects, output_bytes)?;
        if flushed.database_failed {
            self.ended(InstructionResult::FatalExternalError, Bytes::new());
            return Ok(());
        }
        let output = flushed.payload;
        if halt == Halt::Revert {
            self.ended(InstructionResult::Revert, output);
            return Ok(());
        }
        self.refund(&request, refund)?;
        self.ended(InstructionResult::Return, output);
        Ok(())
    }

    /// Takes over the gas that a module says it has left. It never has more than it was given.
    fn gas_left(&mut self, request: &Request, gas_left: u64) -> Result<(), FrameFault> {
        let has = self.interpreter.gas.remaining();
        if gas_left > has.min(GAS_MAX) {
            return Err(FrameFault::out_of_place(request, "the frame has less gas than that"));
        }
        self.interpreter.gas.set_remaining(gas_left + has.saturating_sub(GAS_MAX));
        Ok(())
    }

    /// What the frame has left, as its module is told.
    pub(crate) fn left(&self) -> Left {
        let log_room = self.logs.room(&self.limits);
        Left { log_room, ..Left::of(self.interpreter.gas.remaining()) }
    }

    /// Adds what a module says that its frame has earned, if it can have.
    fn refund(&mut self, request: &Request, refund: i64) -> Result<(), FrameFault> {
        let own = self.meter.own_gas(self.interpreter.gas.remaining());
        if !self.meter.may_earn(refund, own) {
            return Err(FrameFault::out_of_place(
                request,
                "the frame cannot have earned its refund",
            ));
        }
        self.interpreter.gas.record_refund(refund);
        Ok(())
    }

    fn flush(
        &mut self,
        message: Message<'_>,
        effects: &Effects,
        payload_bytes: u32,
    ) -> Result<Flushed, FrameFault> {
        let (address, is_static) = (self.address(), self.is_static());
        let bounds = (&self.limits, self.logs);
        let meter = &mut self.meter;
        message.flush(effects, payload_bytes, address, is_static, self.host, bounds, meter)
    }

    fn fatal(&mut self) -> Served {
        self.halt(InstructionResult::FatalExternalError)
    }

    fn halt(&mut self, result: InstructionResult) -> Served {
        self.ended(result, Bytes::new());
        Served::End
    }

    fn answer(&mut self, head: &Answer) -> Served {
        encode(head, self.answer);
        Served::Answer
    }

    /// Ends a frame whose module is at fault.
    pub(crate) fn failed(&mut self) {
        self.ended(InstructionResult::OpcodeNotFound, Bytes::new());
    }

    /// The end of the frame with the gas that it has left; an exceptional halt consumes all of it.
    fn ended(&mut self, result: InstructionResult, output: Bytes) {
        if result.is_halt() {
            self.interpreter.gas.spend_all();
        }
        let action = InterpreterAction::new_return(result, output, self.interpreter.gas);
        self.action = Some(action);
    }
}
