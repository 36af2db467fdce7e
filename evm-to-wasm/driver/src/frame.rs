//! Who speaks for a frame: a module on the transaction's session, or the reference module of the tests.

use crate::modules::{METHOD, Modules};
use crate::reference::{ReferenceModule, Said};
use cotenant_host::HostFault;
use cotenant_host::exec::{Live, Progress as HostProgress, Session, SessionError};
use cotenant_submodules::Namespace;
use evm_parent::{FrameFault, LiveModule, Progress};
use revm::primitives::Bytes;
use revm::primitives::hardfork::SpecId;

/// Who speaks for a frame.
pub(crate) enum Speaker {
    /// A module, and where it is.
    Module(Live, Namespace),
    /// revm's interpreter.
    Reference(Box<ReferenceModule>),
}

impl Speaker {
    /// Opens a module; nothing of it runs yet.
    pub(crate) fn open(
        session: &Session,
        modules: &Modules,
        namespace: &Namespace,
    ) -> Result<Self, SessionError> {
        // Gas 0 is all that the session has.
        let live = session.open(namespace, METHOD, 0, modules.grants())?;
        Ok(Self::Module(live, namespace.clone()))
    }

    /// Whether this is the module of a namespace.
    pub(crate) fn speaks_for(&self, namespace: &Namespace) -> bool {
        matches!(self, Self::Module(_, own) if own == namespace)
    }

    /// A frame without a module, for which revm's interpreter speaks.
    pub(crate) fn reference(code: Bytes, spec: SpecId) -> Self {
        Self::Reference(Box::new(ReferenceModule::new(code, spec)))
    }

    /// Starts the module with an input and lets nothing come of it.
    pub(crate) fn run_dry(mut self, input: Vec<u8>) -> Result<(), HostFault> {
        match self.resume(&input, &mut Vec::new()) {
            Err(fault) => Err(HostFault::Bug(fault)),
            Ok(_) => Ok(()),
        }
    }
}

impl LiveModule for Speaker {
    fn resume(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<Progress, String> {
        let (progress, bytes) = match self {
            Self::Module(live, _) => match live.resume(bytes.to_vec()) {
                Ok(HostProgress::Yielded(bytes)) => (Progress::Yielded, bytes),
                Ok(HostProgress::Done(bytes)) => (Progress::Done, bytes),
                Ok(HostProgress::Failed(error)) => {
                    let fault = FrameFault::Failed { reason: error.to_string() };
                    return Ok(Progress::Failed(fault));
                }
                Err(SessionError::Host(fault)) => return Err(fault.to_string()),
                Err(error) => return Ok(Progress::Failed(refused(&error))),
            },
            Self::Reference(module) => match module.resume(bytes) {
                Ok(Said::Yielded(bytes)) => (Progress::Yielded, bytes),
                Ok(Said::Done(bytes)) => (Progress::Done, bytes),
                Err(error) => {
                    let fault = FrameFault::Failed { reason: error.to_string() };
                    return Ok(Progress::Failed(fault));
                }
            },
        };
        *said = bytes;
        Ok(progress)
    }

    fn is_compiled(&self) -> bool {
        matches!(self, Self::Module(..))
    }
}

/// The host refused to open or resume a module.
pub(crate) fn refused(error: &SessionError) -> FrameFault {
    FrameFault::Refused { reason: error.to_string() }
}
