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
    /// What an instance is made of: paid with `open`, for public callees too.
    pub instance: InstanceCosts,
}

/// Prices of what an instance is made of: a row for each kind of thing that making it or resetting it has to go through. The first
/// four are paid for every instance, the rest for those that are made anew each time ([`InstanceParts::is_made_anew`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceCosts {
    /// Each byte of data that is copied into the memory.
    pub data_byte: u64,
    /// Each data segment that is copied into the memory.
    pub data_segment: u64,
    /// Each global, the meters' included.
    pub global: u64,
    /// Each element that its tables start with.
    pub table_element: u64,
    /// That it is made anew.
    pub made_anew: u64,
    /// Each function, the meters' included.
    pub function: u64,
    /// Each export, the meters' included.
    pub export: u64,
    /// Each item of an element segment.
    pub segment_item: u64,
}

impl InstanceCosts {
    /// Nothing costs anything: for counting operators alone.
    pub const FREE: Self = Self {
        data_byte: 0,
        data_segment: 0,
        global: 0,
        table_element: 0,
        made_anew: 0,
        function: 0,
        export: 0,
        segment_item: 0,
    };
}

/// What an instance of a module is made of, as counted at its deploy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceParts {
    /// Bytes of data that are copied into the memory.
    pub data_bytes: u64,
    /// Data segments that are copied into the memory.
    pub data_segments: u64,
    /// Globals, the meters' included.
    pub globals: u64,
    /// Elements that its tables start with.
    pub table_elements: u64,
    /// Functions, the meters' included.
    pub functions: u64,
    /// Exports, the meters' included.
    pub exports: u64,
    /// Items of its element segments.
    pub segment_items: u64,
    /// Whether the code drops segments, which the interpreter cannot bring back.
    pub drops_segments: bool,
}

/// Instances of more bytes than this are priced as made anew: pools keep few of them.
const KEPT_BYTES_MAX: u64 = 512 << 10;

impl InstanceParts {
    /// Bytes that an instance takes besides its memory, by a formula that is part of the rules (`docs/spec/gas.md`): about what
    /// the engine that takes more takes.
    pub fn bytes(&self) -> u64 {
        let Self { globals, table_elements, functions, exports, segment_items, .. } = self;
        let parts = [
            (*functions, 100),
            (*globals, 80),
            (*exports, 96),
            (*table_elements, 32),
            (*segment_items, 16),
        ];
        parts
            .into_iter()
            .fold(4_096, |sum: u64, (count, bytes)| sum.saturating_add(count.saturating_mul(bytes)))
    }

    /// Whether an instance is priced as made anew each time: it cannot be reset on every engine, or is too large to be kept.
    pub fn is_made_anew(&self) -> bool {
        self.drops_segments || self.bytes() > KEPT_BYTES_MAX
    }
}

impl SyncCosts {
    /// What `open` pays for the parts of an instance.
    pub fn opening(&self, parts: &InstanceParts) -> u64 {
        let costs = &self.instance;
        if parts.is_made_anew() {
            return self.making(parts).saturating_add(costs.made_anew);
        }
        sum([
            (parts.data_bytes, costs.data_byte),
            (parts.data_segments, costs.data_segment),
            (parts.globals, costs.global),
            (parts.table_elements, costs.table_element),
        ])
    }

    /// What the parts of an instance cost when it is made anew: with `open`, or when a memory grows for the first time, for the
    /// interpreter does not keep such an instance.
    pub fn making(&self, parts: &InstanceParts) -> u64 {
        let costs = &self.instance;
        sum([
            (parts.data_bytes, costs.data_byte),
            (parts.data_segments, costs.data_segment),
            (parts.globals, costs.global),
            (parts.table_elements, costs.table_element),
            (parts.functions, costs.function),
            (parts.exports, costs.export),
            (parts.segment_items, costs.segment_item),
        ])
    }
}

fn sum<const N: usize>(terms: [(u64, u64); N]) -> u64 {
    terms.into_iter().fold(0, |sum, (count, price)| sum.saturating_add(count.saturating_mul(price)))
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
        instance: InstanceCosts::FREE,
    };
}
