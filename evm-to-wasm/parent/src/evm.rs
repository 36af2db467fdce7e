//! revm's EVM, with frames run by their modules.
//!
//! Everything is delegated to an inner [`Evm`] but [`EvmTr::frame_run`]. The modules of live frames are in a vector
//! beside revm's frame stack, at the index that the frame has there.

use crate::frame::{Buffers, Environment, LiveFrame, Went};
use crate::limits::{Limits, LogMeter};
use crate::meter::{FrameEnd, Meter};
use crate::serve::{EthContext, Parent};
use crate::source::{Begun, CodeReader, LiveModule, ModuleSource};
use alloc::string::String;
use alloc::vec::Vec;
use revm::context::{ContextTr, Evm, FrameStack, JournalTr};
use revm::context_interface::context::ContextError;
use revm::database_interface::Database;
use revm::handler::evm::{ContextDbError, FrameInitResult, FrameTr};
use revm::handler::instructions::{EthInstructions, InstructionProvider};
use revm::handler::{EthFrame, EvmTr, FrameInitOrResult, PrecompileProvider};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::MemoryTr;
use revm::interpreter::{Interpreter, InterpreterAction, InterpreterResult};
use revm::state::EvmState;

/// An EVM whose frames run as modules where there are some.
pub struct ParentEvm<DB, P, S, I = EthInstructions<EthInterpreter, EthContext<DB>>>
where
    DB: Database,
    S: ModuleSource,
{
    inner: Evm<EthContext<DB>, (), I, P, EthFrame<EthInterpreter>>,
    frames: Frames<S>,
}

/// What the frames of transactions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames that ran as modules.
    pub compiled_frames: u64,
    /// Frames that revm interpreted.
    pub interpreted_frames: u64,
    /// Requests that modules yielded; their results are not among them.
    pub yields: u64,
}

/// The modules of the frames of one transaction.
struct Frames<S: ModuleSource> {
    source: S,
    environment: Option<Environment>,
    buffers: Buffers,
    slots: Vec<Slot<S::Live>>,
    tally: Tally,
    limits: Limits,
    logs: LogMeter,
    code_reader: CodeReader,
}

/// A frame that has begun, at its index in revm's frame stack.
struct Slot<L> {
    runs: Runs<L>,
    /// What the source noted of it.
    note: u32,
    /// Gas that it began with, and gas that the frames which it called have used.
    gas: u64,
    callees_gas: u64,
    /// Where its memory begins in revm's, which has that of interpreted frames alone.
    memory_at: usize,
    /// Bytes of EVM memory of a compiled frame when it called.
    memory_bytes: u32,
    /// The longest return data that it has been given.
    returned_bytes: usize,
    /// Bytes that the frames below it hold ([`Limits::live_memory`]).
    held_below: u64,
    /// Bytes of logs when it began.
    logs_before: u64,
}

/// How a frame runs.
enum Runs<L> {
    Interpreted,
    Compiled(LiveFrame<L>),
    /// It has ended, and its module has been given back.
    Ended(Meter),
    /// Its module was refused or failed.
    Failed,
}

impl<DB: Database, P, S: ModuleSource, I> ParentEvm<DB, P, S, I> {
    /// An EVM over a context, with instructions for frames that are interpreted, precompiles and a source of modules. So
    /// many frames are made at once; there may be more. Instructions that write logs count them in `logs`; where they do
    /// not, compiled frames alone are held to the bound.
    pub fn new(
        context: EthContext<DB>,
        instructions: I,
        precompiles: P,
        source: S,
        frames: usize,
        limits: Limits,
        logs: LogMeter,
    ) -> Self {
        let inner = Evm {
            ctx: context,
            inspector: (),
            instruction: instructions,
            precompiles,
            frame_stack: FrameStack::new_prealloc(frames),
        };
        let running = Frames {
            code_reader: source.code_reader(),
            source,
            environment: None,
            buffers: Buffers::default(),
            slots: Vec::new(),
            tally: Tally::default(),
            limits,
            logs,
        };
        Self { inner, frames: running }
    }

    /// Closes what is left of a transaction's frames. To be called before the next one, however this one ended; the source
    /// has its own to close.
    pub fn end_transaction(&mut self) {
        self.frames.slots.clear();
        self.frames.environment = None;
        self.frames.logs.reset(0);
    }

    /// Takes what transactions changed out of the journal.
    pub fn finalize(&mut self) -> EvmState {
        self.inner.ctx.journal_mut().finalize()
    }

    /// Takes what has been counted since the last time.
    pub fn take_tally(&mut self) -> Tally {
        core::mem::take(&mut self.frames.tally)
    }

    /// The context.
    pub fn context(&mut self) -> &mut EthContext<DB> {
        &mut self.inner.ctx
    }

    /// The source of modules.
    pub fn source(&mut self) -> &mut S {
        &mut self.frames.source
    }
}

impl<S: ModuleSource> Frames<S> {
    /// Runs the frame on top by its module; what it comes to, `None` if it is to be interpreted.
    fn run<DB: Database>(
        &mut self,
        index: usize,
        frame: &mut EthFrame<EthInterpreter>,
        context: &mut EthContext<DB>,
    ) -> Result<Option<InterpreterAction>, String> {
        let is_new = self.slots.len() <= index;
        let mut memory_max = 0;
        if is_new {
            memory_max = self.push(&mut frame.interpreter);
        }
        let Some(slot) = self.slots.get_mut(index) else { return Ok(None) };
        let tally = &mut self.tally;
        let Buffers { answer, said } = &mut self.buffers;
        let mut parent = Parent {
            interpreter: &mut frame.interpreter,
            host: context,
            code_reader: &*self.code_reader,
            answer,
            action: None,
            limits: self.limits,
            logs: &self.logs,
            meter: Meter::default(),
            memory_bytes: 0,
        };
        if is_new {
            let host = &*parent.host;
            let selector = |interpreter: &_| selector(interpreter, host);
            match self.source.begin(parent.interpreter, selector, &mut slot.note)? {
                Begun::Module(module) => {
                    if module.is_compiled() {
                        tally.compiled_frames += 1;
                    } else {
                        tally.interpreted_frames += 1;
                    }
                    slot.runs = Runs::Compiled(LiveFrame::new(module, slot.gas, memory_max));
                }
                Begun::Interpreter => tally.interpreted_frames += 1,
                Begun::Refused(fault) => {
                    tally.compiled_frames += 1;
                    self.source.fault(&fault);
                    slot.runs = Runs::Failed;
                    parent.failed();
                    return Ok(parent.action);
                }
            }
        }
        let Runs::Compiled(frame) = &mut slot.runs else { return Ok(None) };
        frame.meter.callees_gas = slot.callees_gas;
        let environment = self.environment.get_or_insert_with(|| Environment::of(parent.host));
        let went = frame.run(&mut parent, environment, said, &mut tally.yields)?;
        slot.memory_bytes = parent.memory_bytes;
        match went {
            Went::On => {}
            Went::Finished => {
                let ended = Runs::Ended(frame.meter);
                if let Runs::Compiled(frame) = core::mem::replace(&mut slot.runs, ended) {
                    let (module, gas_spent) = frame.into_module(parent.interpreter);
                    self.source.give_back(module, gas_spent);
                }
            }
            Went::Wrong(fault) => {
                self.source.fault(&fault);
                slot.runs = Runs::Failed;
                parent.failed();
            }
        }
        Ok(parent.action)
    }

    /// Begins a frame, interpreted until somebody says otherwise: the bytes of EVM memory that it may have.
    fn push(&mut self, interpreter: &mut Interpreter<EthInterpreter>) -> u32 {
        let memory_at = interpreter.memory.local_memory_offset();
        let held_below = self.slots.last().map_or(0, |caller| {
            let interpreted = memory_at.saturating_sub(caller.memory_at) as u64;
            let held = interpreted + u64::from(caller.memory_bytes) + caller.returned_bytes as u64;
            caller.held_below + held
        });
        let room = self.limits.memory_room(held_below);
        interpreter.memory.set_memory_limit((memory_at as u64).saturating_add(u64::from(room)));
        self.slots.push(Slot {
            runs: Runs::Interpreted,
            note: 0,
            gas: interpreter.gas.remaining(),
            callees_gas: 0,
            memory_at,
            memory_bytes: 0,
            returned_bytes: 0,
            held_below,
            logs_before: self.logs.bytes(),
        });
        room
    }

    /// Takes note of the end of the frame on top, and forgets it: whatever ended it, its module is closed here.
    fn pop(&mut self, result: &InterpreterResult) {
        let Some(slot) = self.slots.pop() else { return };
        if !result.result.is_ok() {
            self.logs.reset(slot.logs_before);
        }
        let own = slot.gas.saturating_sub(result.gas.remaining()).saturating_sub(slot.callees_gas);
        let meter = match &slot.runs {
            Runs::Compiled(frame) => frame.meter,
            Runs::Ended(meter) => *meter,
            Runs::Interpreted | Runs::Failed => Meter::default(),
        };
        let is_compiled = !matches!(slot.runs, Runs::Interpreted);
        self.source.ended(&FrameEnd {
            note: slot.note,
            is_compiled,
            has_halted: result.result.is_halt(),
            gas: own,
            world_gas: meter.world_gas.min(own),
            requests: meter.requests,
        });
    }

    /// Takes note of what a callee of the frame on top gave it.
    fn returned(&mut self, result: &InterpreterResult) {
        let Some(caller) = self.slots.last_mut() else { return };
        let used = result.gas.limit().saturating_sub(result.gas.remaining());
        caller.callees_gas = caller.callees_gas.saturating_add(used);
        caller.returned_bytes = caller.returned_bytes.max(result.output.len());
    }
}

/// The first four bytes of a frame's input, or what there is of them.
fn selector<DB: Database>(
    interpreter: &Interpreter<EthInterpreter>,
    context: &EthContext<DB>,
) -> [u8; 4] {
    let input = interpreter.input.input.as_bytes(context);
    if let Some(selector) = input.first_chunk() {
        return *selector;
    }
    let mut selector = [0; 4];
    selector[..input.len()].copy_from_slice(&input);
    selector
}

impl<DB, P, S, I> EvmTr for ParentEvm<DB, P, S, I>
where
    DB: Database,
    I: InstructionProvider<Context = EthContext<DB>, InterpreterTypes = EthInterpreter>,
    P: PrecompileProvider<EthContext<DB>, Output = InterpreterResult>,
    S: ModuleSource,
{
    type Context = EthContext<DB>;
    type Instructions = I;
    type Precompiles = P;
    type Frame = EthFrame<EthInterpreter>;

    fn all(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        frame_input: <Self::Frame as FrameTr>::FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<Self::Context>> {
        self.inner.frame_init(frame_input)
    }

    fn frame_run(
        &mut self,
    ) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<Self::Context>> {
        let Some(index) = self.inner.frame_stack.index() else {
            return self.inner.frame_run();
        };
        let frame = self.inner.frame_stack.get();
        let ran = self.frames.run(index, frame, &mut self.inner.ctx);
        match ran.map_err(ContextError::Custom)? {
            None => self.inner.frame_run(),
            Some(action) => {
                let next = frame.process_next_action(&mut self.inner.ctx, action);
                next.inspect(|next| {
                    if next.is_result() {
                        frame.set_finished(true);
                    }
                })
            }
        }
    }

    fn frame_return_result(
        &mut self,
        result: <Self::Frame as FrameTr>::FrameResult,
    ) -> Result<Option<<Self::Frame as FrameTr>::FrameResult>, ContextDbError<Self::Context>> {
        // A frame that was answered without running (a precompile, no code, no funds) has no place on the stack.
        if self.inner.frame_stack.get().is_finished() {
            self.frames.pop(result.interpreter_result());
        }
        self.frames.returned(result.interpreter_result());
        self.inner.frame_return_result(result)
    }
}
