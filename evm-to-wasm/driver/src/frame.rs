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
    /// A module.
    Module(Live),
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
        Ok(Self::Module(session.open(namespace, METHOD, 0, modules.grants())?))
    }

    /// A frame without a module, for which revm's interpreter speaks.
    pub(crate) fn reference(code: Bytes, spec: SpecId) -> Self {
        Self::Reference(Box::new(ReferenceModule::new(code, spec)))
    }

    /// Starts the module with an input and lets nothing come of it.
    pub(crate) fn run_dry(mut self, input: Vec<u8>) -> Result<(), HostFault> {
        match self.resume(input) {
            Err(fault) => Err(HostFault::Bug(fault)),
            Ok(_) => Ok(()),
        }
    }
}

impl LiveModule for Speaker {
    type Bytes = Vec<u8>;

    fn resume(&mut self, bytes: Vec<u8>) -> Result<Progress<Vec<u8>>, String> {
        match self {
            Self::Module(live) => match live.resume(bytes) {
                Ok(HostProgress::Yielded(bytes)) => Ok(Progress::Yielded(bytes)),
                Ok(HostProgress::Done(bytes)) => Ok(Progress::Done(bytes)),
                Ok(HostProgress::Failed(error)) => {
                    Ok(Progress::Failed(FrameFault::Failed { reason: error.to_string() }))
                }
                Err(SessionError::Host(fault)) => Err(fault.to_string()),
                Err(error) => Ok(Progress::Failed(refused(&error))),
            },
            Self::Reference(module) => Ok(match module.resume(&bytes) {
                Ok(Said::Yielded(bytes)) => Progress::Yielded(bytes),
                Ok(Said::Done(bytes)) => Progress::Done(bytes),
                Err(error) => Progress::Failed(FrameFault::Failed { reason: error.to_string() }),
            }),
        }
    }

    fn is_compiled(&self) -> bool {
        matches!(self, Self::Module(_))
    }
}

/// The host refused to open or resume a module.
pub(crate) fn refused(error: &SessionError) -> FrameFault {
    FrameFault::Refused { reason: error.to_string() }
}
