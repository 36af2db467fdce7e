//! Calls to the modules of this account: opened, resumed, closed. Any number may be live at once.

use alloc::vec::Vec;
use core::ops::BitOr;

use crate::error::SyncExecutionError;
use crate::register::{self, REGISTER, raw};
use crate::sys;

/// As gas of a call: all that the caller has left.
pub const GAS_ALL: u64 = 0;

/// As depth of a call: what the host allows.
pub const DEPTH_OF_HOST: u64 = u64::MAX;

/// What `sync_call_open` answers instead of a handle.
const REFUSED: u64 = u64::MAX;

const STATUS_SUCCESS: u64 = 0;
const STATUS_CALLBACK: u64 = 1;

/// Groups of host functions that a private callee may use. A public callee has them all, whatever is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants(u64);

impl Grants {
    /// The core functions alone: the callee is a pure function of what it is sent.
    pub const NONE: Self = Self(0);
    /// Hashes and signatures.
    pub const CRYPTO: Self = Self(1);
    /// Block, epoch, account ids and namespaces.
    pub const CONTEXT: Self = Self(2);
    /// Lines in the log of the call.
    pub const LOG: Self = Self(4);
    /// Sync calls of its own, to private modules.
    pub const NESTED: Self = Self(8);
    /// Everything a private module can be granted.
    pub const ALL: Self = Self(15);
    /// Nothing for the callee: it may be public too ([`Call::public`]).
    pub const PUBLIC: Self = Self(16);

    /// Grants by their bits, unchecked: the host refuses those it does not know.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, as the host wants them.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl BitOr for Grants {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A call that is not started yet, with nothing granted and no bound of its own unless said.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    namespace: &'a str,
    method: &'a str,
    gas: u64,
    depth: u64,
    grants: Grants,
}

impl<'a> Call<'a> {
    /// A call to `method` of the module at `namespace` of this account: of a private one, unless [`Call::public`] says
    /// more.
    pub const fn open(namespace: &'a str, method: &'a str) -> Self {
        Self { namespace, method, gas: GAS_ALL, depth: DEPTH_OF_HOST, grants: Grants::NONE }
    }

    /// Bounds what the callee may burn and reserve over its whole life; [`GAS_ALL`] for no bound.
    pub const fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// Bounds the levels of calls below the callee; [`DEPTH_OF_HOST`] for the host's limit.
    pub const fn depth(mut self, depth: u64) -> Self {
        self.depth = depth;
        self
    }

    /// What a private callee may import beyond the core functions.
    pub const fn grants(mut self, grants: Grants) -> Self {
        self.grants = Grants(grants.0 | self.grants.0 & Grants::PUBLIC.0);
        self
    }

    /// Lets the call reach a public module too. It sees its own account as predecessor, as near-sdk's `#[private]` and
    /// every contract that trusts itself wants it: never say this for a namespace that a stranger names.
    pub const fn public(mut self) -> Self {
        self.grants = Grants(self.grants.0 | Grants::PUBLIC.0);
        self
    }

    /// Checks and prepares the callee; none of its code runs before the first [`Live::resume`].
    ///
    /// # Errors
    /// What the host refuses: no such module or method, a limit, a requirement that is not granted.
    pub fn start(self) -> Result<Live, SyncExecutionError> {
        let (namespace_len, namespace_ptr) = raw(self.namespace.as_bytes());
        let (method_len, method_ptr) = raw(self.method.as_bytes());
        // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
        let handle = unsafe {
            sys::sync_call_open(
                namespace_len,
                namespace_ptr,
                method_len,
                method_ptr,
                self.gas,
                self.depth,
                self.grants.bits(),
                REGISTER,
            )
        };
        if handle == REFUSED {
            return Err(SyncExecutionError::decode(&register::read()));
        }
        Ok(Live { handle, ended: false })
    }
}

/// Where a callee stands after a resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It asks this and waits for the next resume.
    Yielded(Vec<u8>),
    /// It has ended with this result.
    Returned(Vec<u8>),
}

/// The same when the bytes went into a buffer: their length, which may be above the buffer's. Then
/// nothing was written, and [`crate::pending_into`] fetches them before the next switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepInto {
    /// It asks and waits for the next resume.
    Yielded(usize),
    /// It has ended.
    Returned(usize),
}

/// What the host says to a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The callee was live; its effects are dropped.
    Live,
    /// There was nothing to close.
    UnknownHandle,
}

/// A call that has a handle. Dropping it before its end closes it: its effects are reverted.
#[derive(Debug)]
pub struct Live {
    handle: u64,
    ended: bool,
}

impl Live {
    /// The call of a handle that was not opened here, to ask the host about it.
    pub const fn from_handle(handle: u64) -> Self {
        Self { handle, ended: false }
    }

    /// The handle, counted from 0 in every frame.
    pub const fn handle(&self) -> u64 {
        self.handle
    }

    /// Runs the callee on. The first time `data` are its arguments, later the answer to what it yielded.
    ///
    /// # Errors
    /// What the callee failed with; the call has ended then.
    pub fn resume(&mut self, data: &[u8]) -> Result<Step, SyncExecutionError> {
        let (data_len, data_ptr) = raw(data);
        // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
        let status = unsafe { sys::sync_call_resume(self.handle, data_len, data_ptr, REGISTER) };
        self.ended = status != STATUS_CALLBACK;
        step(status)
    }

    /// The same without a register: the bytes go straight into `into`.
    ///
    /// # Errors
    /// What the callee failed with; the call has ended then.
    pub fn resume_into(
        &mut self,
        data: &[u8],
        into: &mut [u8],
    ) -> Result<StepInto, SyncExecutionError> {
        let (data_len, data_ptr) = raw(data);
        // SAFETY: the host reads `data` and writes at most `into.len()` bytes to `into`; both outlive the call.
        let packed = unsafe {
            sys::sync_call_resume_into(
                self.handle,
                data_len,
                data_ptr,
                into.as_mut_ptr() as u64,
                into.len() as u64,
            )
        };
        let length = (packed >> 8) as usize;
        match packed & 0xff {
            STATUS_CALLBACK => Ok(StepInto::Yielded(length)),
            status => {
                self.ended = true;
                if status == STATUS_SUCCESS {
                    Ok(StepInto::Returned(length))
                } else {
                    Err(error_of(into, length))
                }
            }
        }
    }

    /// The same into a vector, which keeps its capacity and grows if it must.
    ///
    /// # Errors
    /// What the callee failed with; the call has ended then.
    pub fn resume_into_vec(
        &mut self,
        data: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<StepInto, SyncExecutionError> {
        into.clear();
        let (data_len, data_ptr) = raw(data);
        // SAFETY: the host reads `data` and writes at most the capacity of `into`; both outlive the call.
        let packed = unsafe {
            sys::sync_call_resume_into(
                self.handle,
                data_len,
                data_ptr,
                into.as_mut_ptr() as u64,
                into.capacity() as u64,
            )
        };
        let length = (packed >> 8) as usize;
        if length > into.capacity() {
            into.reserve_exact(length);
            // SAFETY: the host writes the `length` bytes that are pending, for which there is room now.
            unsafe { sys::pending_into(into.as_mut_ptr() as u64, length as u64) };
        }
        // SAFETY: the host has written `length` bytes, by one of the two.
        unsafe { into.set_len(length) };
        let status = packed & 0xff;
        self.ended = status != STATUS_CALLBACK;
        match status {
            STATUS_CALLBACK => Ok(StepInto::Yielded(length)),
            STATUS_SUCCESS => Ok(StepInto::Returned(length)),
            _ => Err(SyncExecutionError::decode(into)),
        }
    }

    /// Ends the call and drops its effects.
    pub fn close(mut self) -> Closed {
        self.ended = true;
        // SAFETY: takes no pointer.
        if unsafe { sys::sync_call_close(self.handle) } == 0 {
            Closed::Live
        } else {
            Closed::UnknownHandle
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: takes no pointer. That the handle is unknown is no failure of a drop.
            unsafe { sys::sync_call_close(self.handle) };
        }
    }
}

/// NEP-481: starts the one call to a namespace that may be live, with nothing granted. It reaches private and public
/// modules, as the NEP has it: a namespace that a stranger names goes through [`Call::open`].
///
/// # Errors
/// What the host refuses, or the callee fails with.
pub fn sync_function_call(
    namespace: &str,
    method: &str,
    arguments: &[u8],
    gas: u64,
) -> Result<Step, SyncExecutionError> {
    let (namespace_len, namespace_ptr) = raw(namespace.as_bytes());
    let (method_len, method_ptr) = raw(method.as_bytes());
    let (arguments_len, arguments_ptr) = raw(arguments);
    // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
    step(unsafe {
        sys::sync_function_call(
            namespace_len,
            namespace_ptr,
            method_len,
            method_ptr,
            arguments_len,
            arguments_ptr,
            gas,
            REGISTER,
        )
    })
}

/// NEP-481: answers what the live call of a namespace yielded.
///
/// # Errors
/// What the callee fails with, `NotStarted` if there is none.
pub fn resume_sync_call(namespace: &str, response: &[u8]) -> Result<Step, SyncExecutionError> {
    let (namespace_len, namespace_ptr) = raw(namespace.as_bytes());
    let (response_len, response_ptr) = raw(response);
    // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
    step(unsafe {
        sys::resume_sync_call(namespace_len, namespace_ptr, response_len, response_ptr, REGISTER)
    })
}

/// The status of a switch, with the bytes it left in the register.
fn step(status: u64) -> Result<Step, SyncExecutionError> {
    let bytes = register::read();
    match status {
        STATUS_SUCCESS => Ok(Step::Returned(bytes)),
        STATUS_CALLBACK => Ok(Step::Yielded(bytes)),
        _ => Err(SyncExecutionError::decode(&bytes)),
    }
}

/// The error that a switch into a buffer left there, or that waits because it did not fit.
fn error_of(into: &[u8], length: usize) -> SyncExecutionError {
    match into.get(..length) {
        Some(bytes) => SyncExecutionError::decode(bytes),
        None => {
            let mut bytes = alloc::vec![0; length];
            crate::pending_into(&mut bytes);
            SyncExecutionError::decode(&bytes)
        }
    }
}
