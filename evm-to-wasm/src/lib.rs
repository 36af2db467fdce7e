//! EVM bytecode in, a private module out.
//!
//! What is here so far is the frame ABI: what a module compiled from an EVM contract and the parent that
//! runs it say to each other. It knows no host: to a host a compiled contract is a private module like any
//! other, its arguments, yields, answers and result are bytes. The compiler comes later.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod abi;
