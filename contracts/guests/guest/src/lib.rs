//! What a contract needs to speak with the modules of its own account, and what a module needs to be one.
//!
//! Takes the raw functions of [`sys`], gives values that cannot be misused: a live call is closed when it
//! is dropped, a status is an enum, an error is decoded. It works beside near-sdk in a contract and without
//! it in a bare module; nothing is imported that is not called, so a private module which uses the core
//! functions alone stays eligible everywhere. The call model is `docs/spec/calls.md`, section 4 the functions.
//!
//! A contract drives a module of its account:
//!
//! ```no_run
//! use cotenant_guest::{Call, Grants, Step, SyncExecutionError};
//!
//! fn best_quote(arguments: &[u8]) -> Result<Vec<u8>, SyncExecutionError> {
//!     let mut live = Call::open("quotes", "best").gas(5_000_000_000_000).grants(Grants::LOG).start()?;
//!     let mut step = live.resume(arguments)?; // nothing of it ran before; dropping `live` closes it
//!     loop {
//!         match step {
//!             Step::Returned(quote) => return Ok(quote),
//!             Step::Yielded(question) => step = live.resume(&answer(&question))?,
//!         }
//!     }
//! }
//!
//! fn answer(question: &[u8]) -> Vec<u8> {
//!     question.to_vec()
//! }
//! ```
//!
//! A bare private module; the first line of its file is `#![no_std]`:
//!
//! ```no_run
//! # #[cfg(target_arch = "wasm32")]
//! cotenant_guest::bare_module!();
//!
//! #[unsafe(no_mangle)]
//! extern "C" fn best() {
//!     let arguments = cotenant_guest::input();
//!     let answer = cotenant_guest::callback(&arguments); // suspended here until the caller answers
//!     cotenant_guest::value_return(&answer);
//! }
//! # fn main() {}
//! ```

#![no_std]

extern crate alloc;

pub mod allocator;
mod call;
pub mod codec;
mod deploy;
mod error;
mod module;
pub mod near;
pub mod pool;
mod register;
pub mod storage;
pub mod sys;

pub use call::{
    Call, Closed, DEPTH_OF_HOST, GAS_ALL, Grants, Live, Step, StepInto, resume_sync_call,
    sync_function_call,
};
pub use deploy::{Batch, Replace, StorageOnRemove, Visibility};
pub use error::SyncExecutionError;
pub use module::{
    callback, callback_into, current_namespace, input, panic, pending_into, predecessor_namespace,
    value_return,
};
