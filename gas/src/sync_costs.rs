//! Prices of the synchronous-call functions, in gas: one named cost per thing that scales.
//!
//! Specification: `docs/spec/gas.md`, "Costs of sync calls". The numbers are a committed snapshot that the
//! calibration in `benches/` writes (`cargo run --release -p cotenant-bench -- calibrate`).

/// Prices of the synchronous-call functions (`docs/spec/calls.md`, section 4), in units of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncCosts {
    /// `sync_call_open`: checks, an instance from the pool, a fiber, the frame's bookkeeping, and the
    /// prepaid `sync_call_close`.
    pub open: u64,
    /// Each page of 64 KiB that the callee starts with, or grows by.
    pub memory_page: u64,
    /// `sync_call_resume`: the switch into the callee and back.
    pub resume: u64,
    /// Each byte of namespace, method name, argument or answer that goes into the callee.
    pub byte_in: u64,
    /// Each byte that a callee yields or returns, delivered to its caller.
    pub byte_out: u64,
    /// `callback`: the bookkeeping of a yield in the callee.
    pub callback: u64,
    /// `sync_call_close`, and the closing of a callee whose caller ends (prepaid by `open`).
    pub close: u64,
    /// A private frame's register functions (`input`, `read_register`, `register_len`) and `value_return`.
    pub register: u64,
    /// Each byte moved by a private frame's register functions.
    pub register_byte: u64,
}

impl SyncCosts {
    /// The committed snapshot.
    pub const CURRENT: SyncCosts = SyncCosts {
        open: 15_000_000_000,
        memory_page: 10_000_000,
        resume: 1_500_000_000,
        byte_in: 1_000_000,
        byte_out: 1_000_000,
        callback: 500_000_000,
        close: 1_500_000_000,
        register: 100_000_000,
        register_byte: 1_000_000,
    };
}
