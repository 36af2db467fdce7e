//! What a program is and what its steps mean and cost.

use super::Storage;
use crate::calls::{CallLimits, Ledger};
use crate::{Capability, Grants, Namespace, Visibility};
use std::collections::BTreeMap;

/// Slots for handles that a frame has.
pub const SLOTS: usize = 3;
/// The handle in a slot before anything was opened into it, and after an `open` was refused.
pub const NEVER_OPENED: u64 = u64::MAX;
/// Gas of the setup of a callee, besides the step that asks for it. Charged after every check has passed.
pub const SETUP_GAS: u64 = 100;
/// Bytes of storage that an entry takes besides its key and value.
pub const STORAGE_ENTRY_BYTES: u64 = 40;

/// An account, and a root call of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its modules; names are unique, the root's is the first and public.
    pub modules: Vec<Module>,
    /// Method of the first module that the root call enters.
    pub root_method: String,
    /// Arguments of the root call.
    pub arguments: Vec<u8>,
    /// Gas of the root call.
    pub gas: u64,
    /// Limits of the root call.
    pub limits: CallLimits,
    /// The ledger before it.
    pub ledger: Ledger,
    /// Storage before it.
    pub storage: BTreeMap<Namespace, Storage>,
}

/// A module of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub namespace: Namespace,
    /// Its kind. A private one has no step that only public modules may take.
    pub visibility: Visibility,
    /// What it requires besides what its steps do.
    pub requires_besides: Grants,
    /// Memory it starts with, in bytes.
    pub memory_bytes: u64,
    /// Its methods.
    pub methods: Vec<Method>,
}

/// A method: steps in a row. Without a `Return` it returns nothing but its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step of a method. What a step learns goes into the frame's [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Burns gas.
    Burn(u64),
    /// Writes a key or, without a value, removes it.
    Write {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Option<Vec<u8>>,
    },
    /// Reads a key; learns 0, or 1 and the value.
    Read {
        /// The key.
        key: Vec<u8>,
    },
    /// Learns how much gas it has left, what is reserved or held by live callees not counted.
    ReadGas,
    /// Logs a text.
    Log(String),
    /// Creates a promise.
    CreatePromise {
        /// The account it is for.
        receiver: String,
        /// The method it calls there.
        method: String,
        /// Gas reserved for it.
        gas: u64,
        /// Balance sent with it.
        deposit: u128,
        /// It waits for the last receipt that the frame has by now, if there is one.
        after_last: bool,
    },
    /// Grows the memory by so many bytes; learns 1 if it grew and 0 if not.
    Grow(u64),
    /// Calls back with these bytes and the digest; learns the answer.
    Yield(Vec<u8>),
    /// Opens a callee into a slot; learns the handle, or [`NEVER_OPENED`] and the error.
    Open {
        /// Bytes of the namespace.
        namespace: Vec<u8>,
        /// The method.
        method: String,
        /// Gas bound; 0 for all that is left.
        gas: u64,
        /// Levels below it.
        depth: u64,
        /// Bits of the grants.
        grants: u64,
        /// Where the handle goes.
        slot: usize,
    },
    /// Resumes the callee of a slot; learns status and bytes.
    Resume {
        /// The slot.
        slot: usize,
        /// Arguments, or the answer to its callback.
        bytes: Vec<u8>,
    },
    /// Closes the callee of a slot; learns the status.
    Close {
        /// The slot.
        slot: usize,
    },
    /// `sync_function_call`; learns status and bytes.
    NepStart {
        /// Bytes of the namespace.
        namespace: Vec<u8>,
        /// The method.
        method: String,
        /// Arguments.
        bytes: Vec<u8>,
        /// Gas bound; 0 for all that is left.
        gas: u64,
    },
    /// `resume_sync_call`; learns status and bytes.
    NepResume {
        /// Bytes of the namespace.
        namespace: Vec<u8>,
        /// The answer.
        bytes: Vec<u8>,
    },
    /// Traps with `unreachable`.
    Trap,
    /// Panics with a message.
    Panic(String),
    /// Returns these bytes and the digest.
    Return(Vec<u8>),
}

impl Step {
    /// Gas of the step itself.
    pub fn cost(&self) -> u64 {
        match self {
            Step::Burn(gas) => gas.saturating_add(1),
            Step::Write { .. } => 20,
            Step::Read { .. } | Step::ReadGas | Step::Grow(_) => 10,
            Step::Log(text) => 5 + text.len() as u64,
            Step::CreatePromise { .. } => 30,
            Step::Open { .. } | Step::Close { .. } => 15,
            Step::Yield(bytes) | Step::Return(bytes) => 5 + bytes.len() as u64,
            Step::Resume { bytes, .. }
            | Step::NepStart { bytes, .. }
            | Step::NepResume { bytes, .. } => 25 + bytes.len() as u64,
            Step::Trap | Step::Panic(_) => 1,
        }
    }

    /// Whether only public modules may take it.
    pub fn is_public_only(&self) -> bool {
        matches!(
            self,
            Step::Write { .. } | Step::Read { .. } | Step::ReadGas | Step::CreatePromise { .. }
        )
    }

    /// The grant a private module needs for it.
    pub fn capability(&self) -> Option<Capability> {
        match self {
            Step::Log(_) => Some(Capability::Log),
            Step::Open { .. }
            | Step::Resume { .. }
            | Step::Close { .. }
            | Step::NepStart { .. }
            | Step::NepResume { .. } => Some(Capability::Nested),
            _ => None,
        }
    }
}

impl Module {
    /// What it requires of a caller.
    pub fn requires(&self) -> Grants {
        let steps = self.methods.iter().flat_map(|method| &method.steps);
        steps.filter_map(Step::capability).fold(self.requires_besides, Grants::with)
    }

    /// Position of a method.
    pub fn method(&self, name: &str) -> Option<usize> {
        self.methods.iter().position(|method| method.name == name)
    }
}

impl Program {
    /// Position of a module.
    pub fn module(&self, namespace: &Namespace) -> Option<usize> {
        self.modules.iter().position(|module| module.namespace == *namespace)
    }
}

/// Gas burnt by a frame that `charge` exhausts: NEAR's rule, all of the charge that its limit holds. If
/// nothing is reserved that is the whole limit.
pub fn burnt_out(burnt: u64, charge: u64, limit: u64) -> u64 {
    burnt.saturating_add(charge).min(limit)
}

/// Bytes that entries take.
pub fn storage_bytes(storage: &Storage) -> u64 {
    let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        STORAGE_ENTRY_BYTES + key.len() as u64 + value.len() as u64
    };
    storage.iter().map(entry).sum()
}

/// What a frame has learnt, in order: FNV-1a over bytes and little-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Learns a number.
    pub fn learn(&mut self, number: u64) {
        self.mix(&number.to_le_bytes());
    }

    /// Learns bytes, their length included.
    pub fn learn_bytes(&mut self, bytes: &[u8]) {
        self.learn(bytes.len() as u64);
        self.mix(bytes);
    }

    /// The bytes a frame sends: what it wants to send, and its digest.
    pub fn signed(self, bytes: &[u8]) -> Vec<u8> {
        [bytes, &self.0.to_le_bytes()].concat()
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
