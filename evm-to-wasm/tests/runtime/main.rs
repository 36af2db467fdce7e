//! The runtime functions, one by one, under wasmi: arithmetic against `ruint`, memory and copies against a byte
//! vector, storage against the tables of the EIPs, messages against the types of the frame ABI.
//!
//! Operands are edge values and random ones; `COTENANT_SEED` repeats a run.

mod arithmetic;
mod count;
mod frame;
mod host;
mod keccak;
mod memory;
mod shape;
mod storage;
mod values;
