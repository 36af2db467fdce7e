//! Random call programs and what they must do: the oracle of the call rules.
//!
//! A [`Program`] is an account of modules whose methods are straight lines of [`Step`]s. Two readings of
//! it have to agree: [`naive::run`], a deliberately simple model of `docs/spec/calls.md` that copies whole
//! namespaces instead of keeping overlays, and [`machine::run`], which obeys [`CallTree`](crate::calls) as a
//! host does. A host can be held against either by writing the same steps as Wasm.
//!
//! Gas is abstract here: a step costs what [`Step::cost`] says and an opened callee [`SETUP_GAS`].

pub mod machine;
pub mod naive;
pub mod privileges;
mod program;
mod strategy;
#[cfg(test)]
mod tests;

pub use program::{
    Digest, Method, Module, NEVER_OPENED, Program, SETUP_GAS, SLOTS, STORAGE_ENTRY_BYTES, Step,
    burnt_out, storage_bytes,
};
pub use strategy::{any_program, for_each_program};

use crate::calls::{CallNode, Ledger, Renumber};
use crate::{Namespace, SyncExecutionError};
use std::collections::BTreeMap;

/// Values by key of one namespace.
pub type Storage = BTreeMap<Vec<u8>, Vec<u8>>;

/// A promise that a program creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The account it is for.
    pub receiver: String,
    /// The method it calls there.
    pub method: String,
    /// Gas reserved for it.
    pub gas: u64,
    /// Balance sent with it, in yoctoNEAR.
    pub deposit: u128,
    /// Index of the receipt it waits for.
    pub after: Option<u64>,
}

impl Renumber for Receipt {
    fn renumber(&mut self, offset: u64) {
        self.after = self.after.map(|index| index + offset);
    }
}

/// All that a root call leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the root returned, or why it failed.
    pub result: Result<Vec<u8>, SyncExecutionError>,
    /// Gas burnt by the whole tree.
    pub gas_burnt: u64,
    /// Gas burnt and reserved for promises that are sent.
    pub gas_used: u64,
    /// Logs.
    pub logs: Vec<String>,
    /// Receipts.
    pub receipts: Vec<Receipt>,
    /// Storage afterwards; namespaces without a key are left out.
    pub storage: BTreeMap<Namespace, Storage>,
    /// The ledger afterwards. Of a failed root it is as before the call.
    pub ledger: Ledger,
    /// Who called whom, and how it ended.
    pub tree: CallNode,
}
