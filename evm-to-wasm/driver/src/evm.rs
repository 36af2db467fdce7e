//! The parent over a session of the host: each transaction has one, its frames' modules are opened on it.

use crate::counts::Counts;
use crate::frame::{Speaker, refused};
use crate::modules::Modules;
use cotenant_host::exec::{Session, SessionError};
pub use evm_parent::EthContext;
use evm_parent::{Begun, FrameFault, Limits, LogMeter, ModuleSource, ParentEvm, fork_of};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{ContextSetters, TxEnv};
use revm::database_interface::Database;
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthFrame, EthPrecompiles, Handler, MainnetHandler};
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter::EthInterpreter;
use revm::state::EvmState;
use std::rc::Rc;

/// An EVM whose frames run as modules.
pub struct CompiledEvm<DB: Database> {
    inner: ParentEvm<DB, EthPrecompiles, SessionModules>,
}

/// The modules of one transaction.
struct SessionModules {
    modules: Option<Rc<Modules>>,
    session: Option<Rc<Session>>,
    /// Modules that wait for another frame.
    waiting: Vec<Speaker>,
    counts: Counts,
}

impl<DB: Database> CompiledEvm<DB> {
    /// As many as revm makes.
    const FRAMES: usize = 8;

    /// An EVM over a context. Without modules everything is interpreted.
    pub fn new(context: EthContext<DB>, modules: Option<Rc<Modules>>) -> Self {
        let precompiles = EthPrecompiles::new(context.cfg.spec);
        let source = SessionModules {
            modules,
            session: None,
            waiting: Vec::new(),
            counts: Counts::default(),
        };
        let instructions = EthInstructions::new_mainnet_with_spec(context.cfg.spec);
        let (limits, logs) = (Limits::NONE, LogMeter::new());
        let inner =
            ParentEvm::new(context, instructions, precompiles, source, Self::FRAMES, limits, logs);
        Self { inner }
    }

    /// Runs a transaction; what it changes stays in the journal.
    ///
    /// # Errors
    /// The transaction is invalid, or the database or the host failed.
    pub fn transact(
        &mut self,
        transaction: TxEnv,
    ) -> Result<ExecutionResult, EVMError<DB::Error, InvalidTransaction>> {
        let source = self.inner.source();
        let session = source.modules.as_ref().map(|modules| Rc::new(modules.session()));
        source.session.clone_from(&session);
        self.inner.context().set_tx(transaction);
        let mut handler = MainnetHandler::<
            ParentEvm<DB, EthPrecompiles, SessionModules>,
            EVMError<DB::Error>,
            EthFrame<EthInterpreter>,
        >::default();
        let mut run = || {
            let result = handler.run(&mut self.inner);
            // What is still live is closed inside as well.
            self.inner.end_transaction();
            self.inner.source().end();
            result
        };
        match &session {
            Some(session) => session.enter(run),
            None => run(),
        }
    }

    /// Takes what transactions changed out of the journal.
    pub fn finalize(&mut self) -> EvmState {
        self.inner.finalize()
    }

    /// Takes what has been counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        let tally = self.inner.take_tally();
        let mut counts = std::mem::take(&mut self.inner.source().counts);
        counts.tally(tally);
        counts
    }

    /// The context.
    pub fn context(&mut self) -> &mut EthContext<DB> {
        self.inner.context()
    }
}

impl SessionModules {
    /// Modules that wait, at most: together with 1,025 frames they are as many as the host lets live.
    const WAITING_MAX: usize = 64;

    fn end(&mut self) {
        self.waiting.clear();
        if let Some(session) = self.session.take() {
            let burnt = Modules::SESSION_GAS.saturating_sub(session.gas_left());
            self.counts.host_gas = self.counts.host_gas.saturating_add(burnt);
        }
    }
}

impl ModuleSource for SessionModules {
    type Live = Speaker;

    /// Opens the module of a new frame. There is none for an older fork, or code whose module the host refuses.
    fn begin(
        &mut self,
        interpreter: &mut Interpreter<EthInterpreter>,
        _: impl FnOnce(&Interpreter<EthInterpreter>) -> [u8; 4],
        _: &mut u32,
    ) -> Result<Begun<Speaker>, String> {
        let (Some(modules), Some(session)) = (&self.modules, &self.session) else {
            return Ok(Begun::Interpreter);
        };
        let Some(fork) = fork_of(interpreter.runtime_flag.spec_id) else {
            return Ok(Begun::Interpreter);
        };
        if modules.options().reference {
            let code = interpreter.bytecode.original_bytes();
            let speaker = Speaker::reference(code, interpreter.runtime_flag.spec_id);
            return Ok(Begun::Module(speaker));
        }
        // Init code has no hash yet; EIP-7702 is resolved already.
        let code_hash = interpreter.bytecode.get_or_calculate_hash();
        let code = interpreter.bytecode.original_byte_slice();
        let module = modules.module(code_hash, fork, code).map_err(|fault| fault.to_string())?;
        let Some(module) = module else { return Ok(Begun::Interpreter) };
        let waits = |speaker: &Speaker| speaker.speaks_for(&module.namespace);
        if let Some(place) = self.waiting.iter().position(waits) {
            return Ok(Begun::Module(self.waiting.swap_remove(place)));
        }
        modules.note_opened(&module);
        match Speaker::open(session, modules, &module.namespace) {
            Ok(speaker) => Ok(Begun::Module(speaker)),
            Err(SessionError::Host(fault)) => Err(fault.to_string()),
            Err(error) => Ok(Begun::Refused(refused(&error))),
        }
    }

    fn give_back(&mut self, module: Speaker, _: u64) {
        if self.waiting.len() < Self::WAITING_MAX {
            self.waiting.push(module);
        }
    }

    fn fault(&mut self, fault: &FrameFault) {
        self.counts.fault(fault);
    }
}
