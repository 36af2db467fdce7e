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
    /// Each page of 64 KiB that a private callee starts with.
    pub memory_page: u64,
    /// Each time that the memory of a private callee grows, besides the pages.
    pub memory_growth: u64,
    /// Each page that the memory of a private callee grows by; at the first growth also those that it started with,
    /// for wasmi makes such an instance anew.
    pub grown_page: u64,
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
    /// AMD EPYC, x86_64; medians of 31 runs, 2026-11-27, on a machine that others used as well.
    /// near-vm-runner 0.38.0 takes 190882 ns for soak at 10,000 loops, whose 558287597893 gas stand for 558288 ns:
    /// ratio 0.3419, machine factor (1/3) / ratio = 0.975, kept in 1..=2: 1.000.
    /// gas = largest over the engines of (ns x 1,000,000 x 1.000 x 3), two digits, rounded up.
    pub const CURRENT: SyncCosts = SyncCosts {
        // 357.435 ns on wasmi.
        lookup: 1_100_000_000,
        // 1842.086 ns on wasmi.
        open: 5_600_000_000,
        // 0.477 ns on wasmi.
        memory_page: 1_500_000,
        // 1019.336 ns on cranelift.
        memory_growth: 3_100_000_000,
        // Not measured yet.
        grown_page: 7_400_000_000,
        // 345.964 ns on wasmi.
        resume: 1_100_000_000,
        // 0.045 ns on cranelift.
        byte_in: 140_000,
        // 0.041 ns on singlepass.
        byte_out: 130_000,
        // 115.321 ns on wasmi.
        callback: 350_000_000,
        // 822.925 ns on cranelift.
        close: 2_500_000_000,
        // 119.030 ns on wasmi.
        register: 360_000_000,
        // 0.025 ns on singlepass.
        register_byte: 75_000,
    };
}
