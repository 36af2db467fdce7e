//! What people write about contracts of Ethereum: bytecode and ABIs in files of compilers, calls by types, keys.

pub(crate) mod abi;
pub(crate) mod artifact;
pub(crate) mod sign;
