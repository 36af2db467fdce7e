//! Prices of the synchronous-call functions, in gas: one named cost per thing that scales.
//!
//! Specification: `docs/spec/gas.md`, "Costs of sync calls". The numbers are a committed snapshot that the
//! calibration in `benches/` writes (`cargo run --release -p cotenant-bench -- calibrate`).

/// Prices of the synchronous-call functions (`docs/spec/calls.md`, section 4), in units of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncCosts {
    /// Looking a module and its method up, for `sync_call_open` and `sync_function_call`, also when they refuse.
    pub lookup: u64,
    /// `sync_call_open` when it goes ahead, besides the lookup: an instance from the pool, a fiber, the frame's
    /// bookkeeping, and its end.
    pub open: u64,
    /// Each page of 64 KiB that a private callee starts with or grows by.
    pub memory_page: u64,
    /// Each time that the memory of a private callee grows, besides the pages.
    pub memory_growth: u64,
    /// `sync_call_resume`: the switch into the callee and back.
    pub resume: u64,
    /// Each byte of namespace, method name, argument or answer that goes into the callee.
    pub byte_in: u64,
    /// Each byte that a callee yields or returns, delivered to its caller.
    pub byte_out: u64,
    /// `callback`: the bookkeeping of a yield in the callee.
    pub callback: u64,
    /// What it costs more to close a suspended callee than to let it return. Paid with `open`, so that
    /// closing needs no gas: by `sync_call_close`, or when the caller ends.
    pub close: u64,
    /// A private frame's register functions (`input`, `read_register`, `register_len`) and `value_return`.
    pub register: u64,
    /// Each byte moved by a private frame's register functions.
    pub register_byte: u64,
}

impl SyncCosts {
    /// The committed snapshot.
    ///
    /// Intel(R) Xeon(R) Processor, x86_64; medians of 31 runs.
    /// near-vm-runner 0.38.0 takes 163331 ns for soak at 10,000 loops, whose 475903439498 gas stand for
    /// 475903 ns:
    /// ratio 0.3432, machine factor (1/3) / ratio = 0.971, kept in 1..=2: 1.000.
    /// gas = largest over the engines of (ns x 1,000,000 x 1.000 x 3), two digits, rounded up.
    pub const CURRENT: SyncCosts = SyncCosts {
        // 432.950 ns on wasmi.
        lookup: 1_300_000_000,
        // 6387.588 ns on wasmi.
        open: 20_000_000_000,
        // 2446.094 ns on wasmi.
        memory_page: 7_400_000_000,
        memory_growth: 0,
        // 572.018 ns on wasmi.
        resume: 1_800_000_000,
        // 0.054 ns on cranelift.
        byte_in: 170_000,
        // 0.055 ns on wasmi.
        byte_out: 170_000,
        // 190.673 ns on wasmi.
        callback: 580_000_000,
        // 871.355 ns on wasmi.
        close: 2_700_000_000,
        // 153.045 ns on wasmi.
        register: 460_000_000,
        // 0.028 ns on cranelift.
        register_byte: 83_000,
    };
}
