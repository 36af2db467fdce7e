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
    /// AMD EPYC, x86_64; medians of 31 runs.
    /// near-vm-runner 0.38.0 takes 174342 ns for soak at 10,000 loops, whose 558287597893 gas stand for 558288 ns:
    /// ratio 0.3123, machine factor (1/3) / ratio = 1.067, kept in 1..=2: 1.067.
    /// gas = largest over the engines of (ns x 1,000,000 x 1.067 x 3), two digits, rounded up.
    pub const CURRENT: SyncCosts = SyncCosts {
        // 351.720 ns on wasmi.
        lookup: 1_200_000_000,
        // 1760.035 ns on singlepass, an engine of then.
        open: 5_700_000_000,
        // 14.625 ns on wasmi.
        memory_page: 47_000_000,
        // 4608.000 ns on cranelift.
        memory_growth: 15_000_000_000,
        // 665.602 ns on wasmi.
        grown_page: 2_200_000_000,
        // 341.644 ns on wasmi.
        resume: 1_100_000_000,
        // 0.041 ns on cranelift.
        byte_in: 140_000,
        // 0.038 ns on wasmi.
        byte_out: 130_000,
        // 113.881 ns on wasmi.
        callback: 370_000_000,
        // 761.090 ns on wasmi.
        close: 2_500_000_000,
        // 121.985 ns on wasmi.
        register: 400_000_000,
        // 0.024 ns on singlepass, an engine of then.
        register_byte: 77_000,
    };
}
