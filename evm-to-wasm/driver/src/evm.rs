//! revm as the parent: its own frame loop, with compiled frames run by their modules.
//!
//! Everything is delegated to an inner [`revm::context::Evm`] but [`EvmTr::frame_run`]. The modules of live
//! frames are in a vector beside revm's frame stack, at the index that the frame has there.

use crate::counts::{Counts, FrameFault};
use crate::frame::{Environment, FRAME_GAS_MAX, LiveFrame, failed};
use crate::modules::{Modules, fork_of};
pub use crate::serve::EthContext;
use crate::serve::Parent;
use cotenant_host::HostFault;
use cotenant_host::exec::{Session, SessionError};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{ContextSetters, FrameStack, TxEnv};
use revm::context_interface::context::ContextError;
use revm::context_interface::{ContextTr, JournalTr};
use revm::database_interface::Database;
use revm::handler::evm::{ContextDbError, FrameInitResult, FrameTr};
use revm::handler::instructions::EthInstructions;
use revm::handler::{
    EthFrame, EthPrecompiles, EvmTr, FrameInitOrResult, Handler, MainBuilder, MainnetEvm,
    MainnetHandler,
};
use revm::interpreter::InterpreterAction;
use revm::interpreter::interpreter::EthInterpreter;
use revm::state::EvmState;
use std::rc::Rc;

/// An EVM whose frames run as modules.
pub struct CompiledEvm<DB: Database> {
    inner: MainnetEvm<EthContext<DB>>,
    driver: Driver,
}

/// The modules of the frames of one transaction.
struct Driver {
    modules: Option<Rc<Modules>>,
    session: Option<Rc<Session>>,
    environment: Option<Environment>,
    frames: Vec<Slot>,
    counts: Counts,
}

/// How the frame at an index of revm's frame stack runs.
enum Slot {
    New,
    Interpreted,
    Compiled(LiveFrame),
}

impl<DB: Database> CompiledEvm<DB> {
    /// An EVM over a context. Without modules everything is interpreted.
    pub fn new(context: EthContext<DB>, modules: Option<Rc<Modules>>) -> Self {
        let driver = Driver {
            modules,
            session: None,
            environment: None,
            frames: Vec::new(),
            counts: Counts::default(),
        };
        Self { inner: context.build_mainnet(), driver }
    }

    /// Runs a transaction; what it changes stays in the journal.
    ///
    /// # Errors
    /// The transaction is invalid, or the database or the host failed.
    pub fn transact(
        &mut self,
        transaction: TxEnv,
    ) -> Result<ExecutionResult, EVMError<DB::Error, InvalidTransaction>> {
        let session = self.driver.modules.as_ref().map(|modules| Rc::new(modules.session()));
        self.driver.session.clone_from(&session);
        self.driver.environment = None;
        self.inner.ctx.set_tx(transaction);
        let mut handler =
            MainnetHandler::<Self, EVMError<DB::Error>, EthFrame<EthInterpreter>>::default();
        let mut run = || {
            let result = handler.run(self);
            // What is still live is closed inside as well.
            self.driver.end();
            result
        };
        match &session {
            Some(session) => session.enter(run),
            None => run(),
        }
    }

    /// Takes what transactions changed out of the journal.
    pub fn finalize(&mut self) -> EvmState {
        self.inner.ctx.journal_mut().finalize()
    }

    /// Takes what has been counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.driver.counts)
    }

    /// The context.
    pub fn context(&mut self) -> &mut EthContext<DB> {
        &mut self.inner.ctx
    }
}

impl Driver {
    /// Runs the frame on top by its module; `None` if it is to be interpreted.
    fn run<DB: Database>(
        &mut self,
        index: usize,
        parent: &mut Parent<'_, DB>,
    ) -> Result<Option<InterpreterAction>, HostFault> {
        while self.frames.len() <= index {
            self.frames.push(Slot::New);
        }
        let Some(slot) = self.frames.get_mut(index) else { return Ok(None) };
        let counts = &mut self.counts;
        if matches!(slot, Slot::New) {
            let begun = match (&self.modules, &self.session) {
                (Some(modules), Some(session)) => begin(modules, session, parent),
                _ => Ok(None),
            };
            *slot = match begun {
                Ok(Some(frame)) => {
                    if frame.is_module() {
                        counts.compiled_frames += 1;
                    } else {
                        counts.interpreted_frames += 1;
                    }
                    Slot::Compiled(frame)
                }
                Ok(None) => {
                    counts.interpreted_frames += 1;
                    Slot::Interpreted
                }
                Err(SessionError::Host(fault)) => return Err(fault),
                Err(error) => {
                    counts.compiled_frames += 1;
                    return Ok(Some(failed(parent, counts, &FrameFault::Refused(error))));
                }
            };
        }
        let Slot::Compiled(frame) = slot else { return Ok(None) };
        let environment = self.environment.get_or_insert_with(|| Environment::of(parent.host));
        frame.run(parent, environment, counts).map(Some)
    }

    /// Forgets frames that revm has popped: whatever ended them, their modules are closed here.
    fn truncate(&mut self, frames: usize) {
        self.frames.truncate(frames);
    }

    fn end(&mut self) {
        self.frames.clear();
        if let Some(session) = self.session.take() {
            let burnt = Modules::SESSION_GAS.saturating_sub(session.gas_left());
            self.counts.host_gas = self.counts.host_gas.saturating_add(burnt);
        }
    }
}

/// Opens the module of a new frame. `None` if there is none: an older fork, gas beyond the ABI, or code whose
/// module the host refuses.
fn begin<DB: Database>(
    modules: &Modules,
    session: &Session,
    parent: &mut Parent<'_, DB>,
) -> Result<Option<LiveFrame>, SessionError> {
    let interpreter = &mut *parent.interpreter;
    let Some(fork) = fork_of(interpreter.runtime_flag.spec_id) else { return Ok(None) };
    if interpreter.gas.remaining() > FRAME_GAS_MAX {
        return Ok(None);
    }
    if modules.options().reference {
        let code = interpreter.bytecode.original_bytes();
        return Ok(Some(LiveFrame::reference(code, interpreter.runtime_flag.spec_id)));
    }
    // Init code has no hash yet; EIP-7702 is resolved already.
    let code_hash = interpreter.bytecode.get_or_calculate_hash();
    let code = interpreter.bytecode.original_byte_slice();
    match modules.module(code_hash, fork, code)? {
        Some(module) => {
            modules.note_opened(&module);
            LiveFrame::open(session, modules, &module.namespace).map(Some)
        }
        None => Ok(None),
    }
}

impl<DB: Database> EvmTr for CompiledEvm<DB> {
    type Context = EthContext<DB>;
    type Instructions = EthInstructions<EthInterpreter, EthContext<DB>>;
    type Precompiles = EthPrecompiles;
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
        let mut parent = Parent { interpreter: &mut frame.interpreter, host: &mut self.inner.ctx };
        let ran = self.driver.run(index, &mut parent);
        match ran.map_err(|fault| ContextError::Custom(fault.to_string()))? {
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
        self.driver.truncate(frames);
        result
    }
}
