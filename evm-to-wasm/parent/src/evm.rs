//! revm's EVM, with frames run by their modules.
//!
//! Everything is delegated to an inner [`Evm`] but [`EvmTr::frame_run`]. The modules of live frames are in a vector
//! beside revm's frame stack, at the index that the frame has there.

use crate::frame::{Buffers, Environment, LiveFrame, Went};
use crate::serve::{EthContext, Parent};
use crate::source::{Begun, LiveModule, ModuleSource};
use alloc::string::String;
use alloc::vec::Vec;
use revm::context::{ContextTr, Evm, FrameStack, JournalTr};
use revm::context_interface::context::ContextError;
use revm::database_interface::Database;
use revm::handler::evm::{ContextDbError, FrameInitResult, FrameTr};
use revm::handler::instructions::{EthInstructions, InstructionProvider};
use revm::handler::{EthFrame, EvmTr, FrameInitOrResult, PrecompileProvider};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{InterpreterAction, InterpreterResult};
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
}

/// How the frame at an index of revm's frame stack runs.
enum Slot<L> {
    New,
    Interpreted,
    Compiled(LiveFrame<L>),
}

impl<DB: Database, P, S: ModuleSource, I> ParentEvm<DB, P, S, I> {
    /// An EVM over a context, with instructions for frames that are interpreted, precompiles and a source of modules. So
    /// many frames are made at once; there may be more.
    pub fn new(
        context: EthContext<DB>,
        instructions: I,
        precompiles: P,
        source: S,
        frames: usize,
    ) -> Self {
        let inner = Evm {
            ctx: context,
            inspector: (),
            instruction: instructions,
            precompiles,
            frame_stack: FrameStack::new_prealloc(frames),
        };
        let running = Frames {
            source,
            environment: None,
            buffers: Buffers::default(),
            slots: Vec::new(),
            tally: Tally::default(),
        };
        Self { inner, frames: running }
    }

    /// Closes what is left of a transaction's frames. To be called before the next one, however this one ended; the source
    /// has its own to close.
    pub fn end_transaction(&mut self) {
        self.frames.slots.clear();
        self.frames.environment = None;
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
        while self.slots.len() <= index {
            self.slots.push(Slot::New);
        }
        let Some(slot) = self.slots.get_mut(index) else { return Ok(None) };
        let tally = &mut self.tally;
        let Buffers { answer, said } = &mut self.buffers;
        let mut parent = Parent {
            interpreter: &mut frame.interpreter,
            host: context,
            code_bytes: S::code_bytes,
            answer,
            action: None,
        };
        if matches!(slot, Slot::New) {
            *slot = match self.source.begin(parent.interpreter)? {
                Begun::Module(module) => {
                    if module.is_compiled() {
                        tally.compiled_frames += 1;
                    } else {
                        tally.interpreted_frames += 1;
                    }
                    Slot::Compiled(LiveFrame::new(module, parent.interpreter.gas.remaining()))
                }
                Begun::Interpreter => {
                    tally.interpreted_frames += 1;
                    Slot::Interpreted
                }
                Begun::Refused(fault) => {
                    tally.compiled_frames += 1;
                    self.source.fault(&fault);
                    parent.failed();
                    return Ok(parent.action);
                }
            };
        }
        let Slot::Compiled(frame) = slot else { return Ok(None) };
        let environment = self.environment.get_or_insert_with(|| Environment::of(parent.host));
        match frame.run(&mut parent, environment, said, &mut tally.yields)? {
            Went::On => {}
            Went::Finished => {
                if let Slot::Compiled(frame) = core::mem::replace(slot, Slot::New) {
                    let (module, gas_spent) = frame.into_module(parent.interpreter);
                    self.source.give_back(module, gas_spent);
                }
            }
            Went::Wrong(fault) => {
                self.source.fault(&fault);
                parent.failed();
            }
        }
        Ok(parent.action)
    }

    /// Forgets frames that revm has popped: whatever ended them, their modules are closed here.
    fn truncate(&mut self, frames: usize) {
        self.slots.truncate(frames);
    }
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
        let result = self.inner.frame_return_result(result);
        let frames = self.inner.frame_stack.index().map_or(0, |index| index + 1);
        self.frames.truncate(frames);
        result
    }
}
