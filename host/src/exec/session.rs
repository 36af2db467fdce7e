//! Driving modules without a parent contract: the coroutine interface for an embedder
//! (`docs/spec/calls.md`, section 4).

use super::failure::Failure;
use super::root::{Event, Root};
use super::{CallContext, Rules};
use crate::HostFault;
use crate::deploy::ModuleSource;
use crate::engine::{EngineError, EngineKind, GaveUp, PAGE_BYTES, outermost};
use crate::view::StateView;
use cotenant_submodules::calls::{Callee, FrameId, OpenRequest};
use cotenant_submodules::{Grants, Namespace, SyncExecutionError};
use near_vm_runner::logic::types::ReturnData;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// An embedder in the place of a parent contract: what it opens are its submodules. All of it stays on the
/// thread that made it.
pub struct Session {
    root: Rc<Root>,
    left: Rc<Cell<u64>>,
    gave_up: Rc<Cell<Option<GaveUp>>>,
}

/// A live module.
pub struct Live {
    root: Rc<Root>,
    left: Rc<Cell<u64>>,
    gave_up: Rc<Cell<Option<GaveUp>>>,
    handle: u64,
    callee: FrameId,
    ended: bool,
}

/// What a module did when it was resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It yields these bytes and waits for an answer.
    Yielded(Vec<u8>),
    /// It returned.
    Done(Vec<u8>),
    /// It failed; its effects are dropped.
    Failed(SyncExecutionError),
}

/// Why a session could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The call is refused.
    #[error(transparent)]
    Refused(#[from] SyncExecutionError),
    /// The engine gave up, for reasons of the machine: nothing that the session did counts, and it answers nothing else from
    /// here on. Begin anew on another engine.
    #[error("gave up: {0}; hint: begin the session anew on the engine wasmi")]
    GaveUp(GaveUp),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

impl From<EngineError> for SessionError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::GaveUp(reason) => Self::GaveUp(reason),
            EngineError::Fault(fault) => Self::Host(fault),
        }
    }
}

impl Session {
    /// A session of `context.account`, with `context.gas` for everything it opens.
    pub fn new(
        rules: &Arc<Rules>,
        state: Rc<dyn StateView>,
        modules: Rc<dyn ModuleSource>,
        engine: EngineKind,
        context: CallContext,
    ) -> Self {
        let left = Rc::new(Cell::new(context.gas));
        let root = Root::new(rules.clone(), state, modules, engine, context);
        Self { root, left, gave_up: Rc::default() }
    }

    /// Gas that the session has left.
    pub fn gas_left(&self) -> u64 {
        self.left.get()
    }

    /// Opens a module; nothing of it runs before the first resume. `gas` 0 is all that is left.
    ///
    /// # Errors
    /// The call is refused, or the host failed.
    pub fn open(
        &self,
        namespace: &Namespace,
        method: &str,
        gas: u64,
        grants: Grants,
    ) -> Result<Live, SessionError> {
        check(&self.gave_up)?;
        let request = OpenRequest {
            namespace: Some(namespace.clone()),
            method: method.to_owned(),
            gas,
            depth: u64::MAX,
            grants: grants.bits(),
        };
        let code = self.root.code(namespace)?;
        let callee = code.as_ref().map(|code| Callee {
            visibility: code.visibility,
            requires: code.requires,
            has_method: code.functions.get(method) == Some(&true),
            memory_bytes: u64::from(code.initial_pages) * PAGE_BYTES,
        });
        self.root.tree.borrow().check_open(FrameId::ROOT, &request, callee.as_ref())?;
        let (Some(code), Some(facts)) = (code, callee) else {
            return Err(SyncExecutionError::NamespaceNotFound.into());
        };
        let (callee, handle) =
            self.root.tree.borrow_mut().open(FrameId::ROOT, request, &facts, self.left.get());
        self.root.prepare(callee, code, method.to_owned());
        Ok(Live {
            root: self.root.clone(),
            left: self.left.clone(),
            gave_up: self.gave_up.clone(),
            handle,
            callee,
            ended: false,
        })
    }

    /// Runs a whole conversation with modules. Each resume, and each drop of a live module, saves and restores
    /// the engine's state of the thread; inside of `f` that is done once for all of them.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        outermost(f)
    }

    /// Callees alive now.
    pub fn live(&self) -> u32 {
        self.root.tree.borrow().live()
    }
}

impl Live {
    /// Runs the module until it yields or ends. The first bytes are its input, later ones its answers.
    ///
    /// # Errors
    /// `UnknownHandle` after its end; the host failed.
    pub fn resume(&mut self, bytes: Vec<u8>) -> Result<Progress, SessionError> {
        check(&self.gave_up)?;
        let (length, left) = (bytes.len() as u64, self.left.get());
        let resumption =
            self.root.tree.borrow_mut().resume(FrameId::ROOT, self.handle, length, left)?;
        let event = self.root.resume(resumption.callee, bytes, resumption.allowance);
        let event = event.map_err(|stop| self.stopped(stop))?;
        let (settlement, progress) = match event {
            Event::Yielded(bytes, report) => {
                let settlement = self.root.tree.borrow_mut().yielded(self.callee, report);
                (settlement, Progress::Yielded(bytes))
            }
            Event::Ended(ending) => {
                self.ended = true;
                if matches!(ending.result, Err(Failure::Fault)) {
                    return Err(self.stopped(self.root.take_stop()));
                }
                let result = ending.result.as_ref().map(|_| ()).map_err(Failure::to_sync_error);
                let progress = match (ending.result, &result) {
                    (Ok(ReturnData::Value(bytes)), _) => Progress::Done(bytes),
                    (_, Err(error)) => Progress::Failed(error.clone()),
                    _ => Progress::Done(Vec::new()),
                };
                let mut tree = self.root.tree.borrow_mut();
                (tree.ended(self.callee, result, ending.report, ending.logs, 0), progress)
            }
        };
        let used = settlement.burn.saturating_add(settlement.take_over);
        self.left.set(self.left.get().saturating_sub(used));
        Ok(progress)
    }
}

impl Live {
    /// Notes why the session stops, if it does.
    fn stopped(&self, stop: EngineError) -> SessionError {
        if let EngineError::GaveUp(reason) = stop {
            if self.root.engine == EngineKind::Wasmi {
                return crate::exec::exhausted(reason).into();
            }
            crate::exec::note_gave_up();
            self.gave_up.set(Some(reason));
        }
        stop.into()
    }
}

/// Refuses what is asked of a session that gave up.
fn check(gave_up: &Cell<Option<GaveUp>>) -> Result<(), SessionError> {
    gave_up.get().map_or(Ok(()), |reason| Err(SessionError::GaveUp(reason)))
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.ended {
            self.root.close_below(self.callee);
            self.root.close(self.callee);
        }
    }
}
