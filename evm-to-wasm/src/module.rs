//! Bodies in, a module out: `run`, parts, landing functions, runtime functions, sections.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use borsh::BorshSerialize;
use wasm_encoder::{
    BlockType, CodeSection, CustomSection, DataCountSection, DataSection, Encode, EntityType,
    ExportKind, ExportSection, FunctionSection, GlobalSection, ImportSection, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};

use crate::abi::{self, reads};
use crate::analysis::{Effects, Functions, analyse, budget};
use crate::blocks::Blocks;
use crate::build::build;
use crate::flow::{Flow, NONE, PartLimits};
use crate::graph::{Graph, Jump};
use crate::hash::code_hash;
use crate::ir::{Def, Ir, Listing};
use crate::lower::{Callee, PartBody, landing, lower};
use crate::opcode::Op;
use crate::routines::Barred;
use crate::runtime::{self, Function, Setup, Signature, compact, layout};
use crate::sink::Sink;
use crate::table::Seed;
use crate::{COMPILER_VERSION, Compiled, Fork, Options, Report};

/// Bytes of a function's body, at most: three quarters of the host's limit.
const BODY_BYTES_MAX: usize = 144 * 1024;

/// Rounds of copying fewer functions, before none is copied: what is not copied may still become a function of the module, which
/// is smaller.
const COPYING_ROUNDS: u32 = 2;
/// Steps of all those rounds together, in what an analysis without copies may take.
const COPYING_BUDGETS: u64 = 2;

/// Rounds of taking out routines that the flow cannot have, before there are none.
const BARRING_ROUNDS: u32 = 6;

/// Bytes of the host's metered stack that the contract's own code may take: a quarter of it.
const STACK_BYTES_MAX: usize = 64 * 1024;

/// Bytes of that stack which an activation takes beside its locals: the host's own, and operands.
const ACTIVATION_BYTES: usize = 64 + 8 * 80;

/// Bytes that the contract's own code has in Wasm, at most: so many for each byte of code, and so many more. What would be
/// larger is in the compact form.
pub(crate) const OWN_BYTES_PER_BYTE: usize = 32;
/// See [`OWN_BYTES_PER_BYTE`].
pub(crate) const OWN_BYTES_FIXED: usize = 16 * 1024;

/// Steps of all rounds of shaping, building and lowering together, for each byte of code; and so many more. A step is a node
/// that a pass walks over or a byte that is emitted; a value is worth several.
const STEPS_PER_BYTE: u64 = 240;
const STEPS_FIXED: u64 = 200_000;
const STEPS_OF_VALUE: u64 = 16;

/// What a host takes of a module in all (NEAR's `max_blocks_per_contract` and so on, `docs/hostile.md`); the runtime
/// functions and `run` have their share in what is left.
mod host {
    pub const BLOCKS: usize = 45_000;
    pub const BLOCKS_OF_FUNCTION: usize = 4_900;
    pub const FUNCTIONS: usize = 9_000;
    pub const PARAMETERS: usize = 45_000;
    pub const PARAMETERS_OF_FUNCTION: usize = 64;
    pub const TYPES: usize = 900;
    pub const LOCALS: usize = 900_000;
}

/// What the custom section `evm` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, borsh::BorshDeserialize)]
pub struct Provenance {
    /// [`abi::FRAME_ABI_VERSION`].
    pub abi: u32,
    /// [`COMPILER_VERSION`].
    pub compiler: u32,
    /// The fork.
    pub fork: Fork,
    /// Bits of [`abi::reads`].
    pub reads: u32,
    /// Keccak-256 of the bytecode, as a word ([`code_hash`]).
    pub code_hash: abi::Hash,
}

/// Name of the custom section.
pub const SECTION: &str = "evm";

/// The steps of a compilation up to bodies.
#[derive(Default)]
struct Lowered {
    graph: Graph,
    flow: Flow,
    ir: Ir,
    ids: Vec<u32>,
    parts: Vec<PartBody>,
    /// Whether there is nothing of the above: the compact form.
    compact: bool,
    needed: BTreeSet<Function>,
}

impl Lowered {
    /// The compact form.
    fn compact() -> Self {
        let needed = [Function::Enter, Function::Next, Function::Halt, Function::Interpret].into();
        Self { compact: true, needed, ..Self::default() }
    }

    /// Whether it is as small as it has to be, and a host takes it.
    fn fits(&self, code_bytes: usize) -> bool {
        let Self { parts, graph, .. } = self;
        let landings = graph.landings.len();
        let stretch = match (graph.landings.first_key_value(), graph.landings.last_key_value()) {
            (Some((first, _)), Some((last, _))) => (last - first) as usize,
            _ => 0,
        };
        // A target is a number of two bytes, a case some operators.
        let bytes = parts.iter().map(PartBody::size).sum::<usize>() + 2 * stretch + 24 * landings;
        let blocks = parts.iter().map(|part| part.blocks).sum::<usize>() + landings;
        let parameters = parts.iter().map(|part| part.signature.0.len());
        let locals = parts.iter().map(PartBody::locals).sum::<usize>();
        let types: BTreeSet<_> = parts.iter().map(|part| encoded(&part.signature)).collect();
        bytes <= own_bytes_max(code_bytes)
            && blocks <= host::BLOCKS
            && parts.iter().all(|part| part.blocks <= host::BLOCKS_OF_FUNCTION)
            && parts.len() + landings / 1_000 <= host::FUNCTIONS
            && parameters.clone().all(|count| count <= host::PARAMETERS_OF_FUNCTION)
            && parameters.sum::<usize>() <= host::PARAMETERS
            && types.len() <= host::TYPES
            && locals <= host::LOCALS
    }
}

/// Bytes that the own code of a contract has in Wasm, at most.
const fn own_bytes_max(code_bytes: usize) -> usize {
    OWN_BYTES_PER_BYTE * code_bytes + OWN_BYTES_FIXED
}

/// Takes steps away; `None` if there are not as many.
fn spend(left: &mut u64, steps: u64) -> Option<()> {
    *left = left.checked_sub(steps)?;
    Some(())
}

/// Compiles `code`.
pub fn compile(code: &[u8], options: &Options) -> Compiled {
    let blocks = Blocks::decode(code, options.fork);
    let hash = code_hash(code);
    let lowered = lower_all(&blocks, Seed::new(hash[0])).unwrap_or_else(Lowered::compact);
    assemble(&blocks, &lowered, options, hash)
}

/// Compiles `code` into the compact form.
pub fn compile_compact(code: &[u8], options: &Options) -> Compiled {
    let blocks = Blocks::decode(code, options.fork);
    assemble(&blocks, &Lowered::compact(), options, code_hash(code))
}

/// Prints the intermediate form of `code`.
pub fn print(code: &[u8], options: &Options) -> alloc::string::String {
    use alloc::string::ToString;
    let blocks = Blocks::decode(code, options.fork);
    let Some(lowered) = lower_all(&blocks, Seed::new(code_hash(code)[0])) else {
        return "the compact form: the module has the code, and runs it an instruction at a time\n"
            .into();
    };
    let places: Vec<u32> = blocks.blocks.iter().map(|block| block.pc).collect();
    let Lowered { graph, flow, ir, .. } = &lowered;
    Listing { ir, graph, flow, places: &places }.to_string()
}

/// The graph of `blocks`, with copies of as many functions as it goes.
fn shape(blocks: &Blocks<'_>, seed: Seed, barred: &Barred) -> Graph {
    let effects = Effects::new(blocks);
    let mut functions = Functions::find(blocks, &effects);
    let mut left = COPYING_BUDGETS * budget(blocks);
    for _ in 0..COPYING_ROUNDS {
        let analysis = analyse(blocks, &effects, &functions, seed, &mut left);
        match analysis.map(|analysis| Graph::new(blocks, &analysis, barred)) {
            Some(Ok(graph)) => return graph,
            Some(Err(mixed)) if functions.copy_less(&mixed) => {}
            _ => break,
        }
    }
    functions.copy_none();
    // Without copies there is one node a block.
    analyse(blocks, &effects, &functions, seed, &mut budget(blocks))
        .and_then(|analysis| Graph::new(blocks, &analysis, barred).ok())
        .unwrap_or_default()
}

/// The bodies; `None` if they would be out of proportion to the code, in size or in the steps to make them, or more than a
/// host takes.
fn lower_all(blocks: &Blocks<'_>, seed: Seed) -> Option<Lowered> {
    let own_bytes_max = own_bytes_max(blocks.code.len());
    let mut left = STEPS_PER_BYTE * blocks.code.len() as u64 + STEPS_FIXED;
    let mut barred = Barred::new();
    let mut shaped = shape(blocks, seed, &barred);
    let mut limits = PartLimits { weight: 100_000, dispatched: 900, nodes: 1_500, single: false };
    for round in 0.. {
        let mut graph = shaped.clone();
        let weights: Vec<u32> = graph
            .nodes
            .iter()
            .map(|node| {
                let range = &blocks.blocks[node.block as usize].instructions;
                30 + 24 * (range.end - range.start)
            })
            .collect();
        let flow = Flow::new(blocks, &mut graph, &weights, limits);
        spend(&mut left, (u64::from(flow.passes) + 8) * graph.nodes.len() as u64)?;
        if !flow.broken.is_empty() {
            let all = round >= BARRING_ROUNDS;
            let routines = graph.routines.iter().enumerate();
            barred.extend(
                routines
                    .filter(|(place, _)| all || flow.broken.contains(&(*place as u32)))
                    .map(|(_, routine)| routine.called),
            );
            shaped = shape(blocks, seed, &barred);
            continue;
        }
        let ir = build(blocks, &graph, &flow, seed);
        spend(&mut left, STEPS_OF_VALUE * ir.defs.len() as u64)?;
        let ids = number(&graph, &flow);
        let mut needed: BTreeSet<Function> =
            [Function::Enter, Function::Next, Function::Halt].into();
        let last = limits.weight < 2_000;
        let bytes_max = if last { usize::MAX } else { BODY_BYTES_MAX };
        let parts = lower(&graph, &flow, &ir, &ids, bytes_max, own_bytes_max, &mut needed);
        let emitted = parts.iter().map(PartBody::size).sum::<usize>();
        spend(&mut left, emitted as u64)?;
        if emitted > own_bytes_max {
            return None;
        }
        let whole = parts.len() == flow.parts as usize;
        if whole && deepest(&parts) > STACK_BYTES_MAX {
            barred.extend(graph.routines.iter().map(|routine| routine.called));
            shaped = shape(blocks, seed, &barred);
            continue;
        }
        let largest = parts.iter().map(PartBody::size).max().unwrap_or(0);
        let locals = parts.iter().map(PartBody::locals).max().unwrap_or(0);
        let fits = largest <= BODY_BYTES_MAX && (locals <= 700 || limits.single);
        if fits || last {
            let lowered = Lowered { graph, flow, ir, ids, parts, compact: false, needed };
            return Some(lowered).filter(|all| fits && all.fits(blocks.code.len()));
        }
        if largest > BODY_BYTES_MAX {
            // As often as that part would have to be cut.
            for _ in 0..(largest / BODY_BYTES_MAX).ilog2() + 1 {
                limits.weight /= 2;
            }
        } else {
            limits.single = true;
        }
    }
    None
}

/// Bytes of the host's metered stack that the deepest chain of routines takes.
fn deepest(parts: &[PartBody]) -> usize {
    // Callees are behind their callers.
    let mut depths = alloc::vec![0; parts.len()];
    for (place, part) in parts.iter().enumerate().rev() {
        let inner = part.callees.iter().map(|callee| depths[*callee as usize]).max().unwrap_or(0);
        depths[place] = inner + ACTIVATION_BYTES + 8 * (part.locals() + part.signature.0.len());
    }
    depths.into_iter().max().unwrap_or(0)
}

/// Ids of dispatched nodes, going up with parts.
fn number(graph: &Graph, flow: &Flow) -> Vec<u32> {
    let mut order: Vec<u32> = (0..graph.nodes.len() as u32)
        .filter(|node| graph.nodes[*node as usize].dispatched && flow.place[*node as usize] != NONE)
        .collect();
    order.sort_by_key(|node| (flow.part[*node as usize], *node));
    let mut ids = alloc::vec![0; graph.nodes.len()];
    for (id, node) in order.iter().enumerate() {
        ids[*node as usize] = id as u32;
    }
    ids
}

fn bytes_of(types: &[ValType]) -> Vec<u8> {
    let mut bytes = Vec::new();
    types.iter().for_each(|kind| kind.encode(&mut bytes));
    bytes
}

/// A type, to be compared.
fn encoded((params, results): &(Vec<ValType>, Vec<ValType>)) -> (Vec<u8>, Vec<u8>) {
    (bytes_of(params), bytes_of(results))
}

/// Indices of types, each declared once.
#[derive(Default)]
struct Types {
    section: TypeSection,
    known: BTreeMap<(Vec<u8>, Vec<u8>), u32>,
}

impl Types {
    fn index(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let count = self.known.len() as u32;
        let section = &mut self.section;
        *self.known.entry((bytes_of(params), bytes_of(results))).or_insert_with(|| {
            section.ty().function(params.iter().copied(), results.iter().copied());
            count
        })
    }

    fn of(&mut self, signature: &Signature) -> u32 {
        self.index(&signature.params, &signature.results)
    }
}

fn assemble(
    blocks: &Blocks<'_>,
    lowered: &Lowered,
    options: &Options,
    code_hash: abi::Hash,
) -> Compiled {
    let setup = Setup { keccak: options.keccak, code_bytes: blocks.code.len() as u32 };
    let linked = runtime::link(&lowered.needed, &setup);
    let mut types = Types::default();
    let (mut imports, mut functions) = (ImportSection::new(), FunctionSection::new());
    let mut code = CodeSection::new();
    for import in linked.imports() {
        let index = types.of(&import.signature());
        imports.import("env", import.name(), EntityType::Function(index));
    }
    for (function, body) in linked.functions() {
        functions.function(types.of(&function.signature()));
        code.function(body);
    }
    let runtime_bytes = code.byte_len();

    let first_part = linked.first_free();
    let parts = lowered.parts.len() as u32;
    let landing_index = first_part + parts;
    let index = |callee| match callee {
        Callee::Runtime(function) => linked.index(function),
        Callee::Landing => landing_index,
        Callee::Part(part) => first_part + part,
    };
    for part in &lowered.parts {
        functions.function(types.index(&part.signature.0, &part.signature.1));
        code.raw(&part.encode(index));
    }
    let landings = match lowered.compact {
        true => Vec::new(),
        false => landing(&lowered.graph.landings, &lowered.ids, landing_index),
    };
    for body in &landings {
        let pair = [ValType::I64, ValType::I64];
        functions.function(types.index(&pair, &[ValType::I32, ValType::I64]));
        code.raw(body);
    }
    let run_index = landing_index + landings.len() as u32;
    functions.function(types.index(&[], &[]));
    let enter = linked.index(Function::Enter);
    let [next, halt] = [Function::Next, Function::Halt].map(|function| linked.index(function));
    // A contract that begins with a run of JUMPDESTs pays for those before its first block.
    let sled = blocks.target(0).map_or(0, |target| target.gas);
    if lowered.compact {
        code.raw(&run_compact([enter, next, halt, linked.index(Function::Interpret)]));
    } else {
        code.raw(&run(lowered, first_part, [enter, next, halt], sled));
    }

    let report = report(blocks, lowered, runtime_bytes, code.byte_len());
    let mut module = Module::new();
    module.section(&types.section).section(&imports).section(&functions);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: layout::INITIAL_PAGES,
        maximum: Some(layout::MAXIMUM_PAGES),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    runtime::declare_globals(&mut globals);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, run_index);
    module.section(&memories).section(&globals).section(&exports);
    if linked.needs_code_segment() {
        module.section(&DataCountSection { count: 1 });
    }
    module.section(&code);
    let mut report = report;
    if linked.needs_code_segment() {
        let mut data = DataSection::new();
        let segment = match lowered.compact {
            true => compact::segment(blocks, options.fork),
            false => abi::backwards(blocks.code),
        };
        report.data_bytes = segment.len();
        data.passive(segment);
        module.section(&data);
    }
    let provenance = Provenance {
        abi: abi::FRAME_ABI_VERSION,
        compiler: COMPILER_VERSION,
        fork: options.fork,
        reads: report.reads,
        code_hash,
    };
    let mut data = Vec::new();
    // Writing to memory does not fail.
    let _ = provenance.serialize(&mut data);
    module.section(&CustomSection { name: Cow::Borrowed(SECTION), data: Cow::Owned(data) });
    let wasm = module.finish();
    report.wasm_bytes = wasm.len();
    Compiled { wasm, report }
}

/// The body of `run`: enters a frame, then calls part after part, and so on with the next frame.
fn run(lowered: &Lowered, first_part: u32, [enter, next, halt]: [u32; 3], sled: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let locals: [(u32, ValType); 2] = [(1, ValType::I64), (2, ValType::I32)];
    locals.len().encode(&mut bytes);
    for (count, kind) in locals {
        count.encode(&mut bytes);
        kind.encode(&mut bytes);
    }
    // First id of each part but the first.
    let parts = lowered.flow.first_routine as usize;
    let mut firsts = alloc::vec![u32::MAX; parts];
    for (node, shape) in lowered.graph.nodes.iter().enumerate() {
        if shape.dispatched && lowered.flow.place[node] != NONE {
            let part = lowered.flow.part[node] as usize;
            firsts[part] = firsts[part].min(lowered.ids[node]);
        }
    }
    let mut sink = Sink::new(&mut bytes);
    sink.call(enter).local_set(0).loop_(BlockType::Empty);
    sink.local_get(0).i64_const(0).i64_lt_s().if_(BlockType::Empty).call(halt).else_();
    if sled > 0 {
        sink.local_get(0).i64_const(i64::from(sled)).i64_sub().local_set(0);
    }
    // The entry of the contract is the first node of the first part.
    sink.i32_const(lowered.ids.first().copied().unwrap_or(0) as i32).local_set(1);
    sink.i32_const(0).local_set(2);
    let call = |sink: &mut Sink<'_>, part: usize| {
        sink.local_get(0).local_get(1).local_get(2).call(first_part + part as u32);
        sink.local_set(2).local_set(1).local_set(0);
    };
    if parts == 1 {
        call(&mut sink, 0);
    } else {
        sink.loop_(BlockType::Empty);
        for part in (1..parts).rev() {
            if firsts[part] == u32::MAX {
                continue;
            }
            sink.local_get(1).i32_const(firsts[part] as i32).i32_ge_s().if_(BlockType::Empty);
            call(&mut sink, part);
            sink.br(1).end();
        }
        sink.local_get(1).i32_const(0).i32_ge_s().if_(BlockType::Empty);
        call(&mut sink, 0);
        sink.br(1).end();
        sink.end();
    }
    sink.end();
    sink.call(next).local_set(0).br_if(0).end().end();
    bytes
}

/// The body of `run` in the compact form.
fn run_compact([enter, next, halt, interpret]: [u32; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // One group of locals: the gas.
    [1_u32, 1].iter().for_each(|number| number.encode(&mut bytes));
    ValType::I64.encode(&mut bytes);
    let mut sink = Sink::new(&mut bytes);
    sink.call(enter).local_set(0).loop_(BlockType::Empty);
    sink.local_get(0).i64_const(0).i64_lt_s().if_(BlockType::Empty).call(halt).else_();
    sink.local_get(0).call(interpret).end();
    sink.call(next).local_set(0).br_if(0).end().end();
    bytes
}

fn report(
    blocks: &Blocks<'_>,
    lowered: &Lowered,
    runtime_bytes: usize,
    code_bytes: usize,
) -> Report {
    let Lowered { graph, ir, flow, parts, compact, .. } = lowered;
    let mut report = Report {
        bytecode_bytes: blocks.code.len(),
        compact: *compact,
        functions: parts.len(),
        code_bytes: code_bytes - runtime_bytes,
        runtime_bytes,
        blocks: flow.order.len(),
        warnings: blocks.warnings.clone(),
        ..Report::default()
    };
    if *compact {
        report.blocks = blocks.blocks.len();
        report.reads =
            blocks.instructions.iter().fold(0, |all, there| all | reads_of(there.row.op));
    }
    for node in &graph.nodes {
        match &node.jump {
            Some(Jump::Static(_)) => report.static_jumps += 1,
            Some(jump @ (Jump::Among(_) | Jump::Anywhere)) => {
                report.dynamic_jumps += 1;
                report.unresolved_jumps += usize::from(*jump == Jump::Anywhere);
            }
            _ => {}
        }
    }
    for body in &ir.bodies {
        for value in &body.items {
            match ir.def(*value) {
                Def::Charge(_) => report.sections += 1,
                Def::Inst { op, .. } => {
                    report.values += 1;
                    report.narrow_values += usize::from(ir.range(*value).limbs() == 1);
                    report.reads |= reads_of(*op);
                }
                _ => {}
            }
        }
    }
    report
}

/// Which fields of the input an instruction reads.
fn reads_of(op: Op) -> u32 {
    match op {
        Op::Coinbase
        | Op::Timestamp
        | Op::Number
        | Op::Prevrandao
        | Op::Gaslimit
        | Op::Chainid
        | Op::Basefee
        | Op::Blockhash => reads::BLOCK,
        Op::Origin | Op::Gasprice => reads::TRANSACTION,
        Op::Blobhash | Op::Blobbasefee => reads::BLOBS,
        _ => 0,
    }
}
