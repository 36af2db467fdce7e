//! The meters in one function.
//!
//! Takes the code of a function and its charges; gives the same code with the charges in it. What is
//! written here is chosen for cranelift, which keeps locals in registers and moves blocks that end in a
//! trap out of the way:
//!
//! - A function takes the gas and the stack that are left as two more parameters, so that a call writes no
//!   global and waits for none. Gas comes back in the global: whoever calls reads it again.
//! - In between, gas is in a local. The global is written where somebody could look: before an operator
//!   that may trap, before a call out of the module, before a failing charge, and on return.
//! - A charge is a comparison and a subtraction. The charges for the frame and for the first operators are
//!   compared at once, as nothing that could be seen is between them.
//! - A loop without loops, calls and charges by operand in it is written twice: one copy for when there is
//!   gas for all of its body, without comparisons, and one with them, for the last rounds before gas ends.

use finite_wasm::Fee;
use finite_wasm::gas::InstrumentationKind;
use wasm_encoder::{BlockType, Encode, InstructionSink, ValType};
use wasmparser::{FunctionBody, Operator, OperatorsReader};

use super::MeterError;
use super::assemble::Functions;
use super::survey::Shape;

mod charges;
mod loops;

use loops::{Access, Copy};

/// Index of the imported `internal.gas_exhausted`.
pub const GAS_EXHAUSTED: u32 = 0;
/// Index of the imported `internal.stack_exhausted`.
pub const STACK_EXHAUSTED: u32 = 1;
/// Index of the imported `internal.memory_growing`.
pub const MEMORY_GROWING: u32 = 2;
/// How many parameters a metered function has besides its own: gas left, stack left.
pub const METER_PARAMS: [ValType; 2] = [ValType::I64, ValType::I64];

/// Locals and parameters that a function may have together (a limit of wasmparser and of most engines).
const MAX_LOCALS: u64 = 50_000;

/// Where the meters' globals are.
#[derive(Clone, Copy)]
pub struct Globals {
    /// Index of the global with the gas that is left.
    pub gas: u32,
    /// Index of the global with the stack that is left.
    pub stack: u32,
    /// Index of the global with the bytes of memory, if that is [`Memory::Growing`].
    pub memory_bytes: u32,
    /// Index of the global that says whether a table is accessed.
    pub table_access: u32,
}

/// One function to be metered.
pub struct Unmetered<'a> {
    /// Its index, imports counted, in the module it comes from.
    pub index: u32,
    /// The bytes of its module.
    pub code: &'a [u8],
    /// Its body.
    pub body: &'a FunctionBody<'a>,
    /// How many parameters it has.
    pub params: u32,
    /// The type of a block that has its results.
    pub results: BlockType,
    /// What its code does.
    pub shape: &'a Shape,
    /// Bytes of stack it needs.
    pub stack_bytes: u64,
    /// How much memory there is.
    pub memory: Memory,
    /// Gas for setting up its frame.
    pub frame_gas: u64,
    /// What to charge where, in order.
    pub points: Vec<Point>,
}

/// How much memory a module has.
#[derive(Clone, Copy)]
pub enum Memory {
    /// So many bytes from the start to the end.
    Fixed {
        /// How many.
        bytes: u64,
    },
    /// What a global says, which is written whenever the memory grows.
    Growing,
}

/// A charge at an operator.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where, in bytes from the module's start.
    pub offset: usize,
    /// How much.
    pub fee: Fee,
    /// Why there.
    pub kind: InstrumentationKind,
}

impl Point {
    /// Whether there is anything to charge: not in code that cannot be reached, and not for free.
    fn charges(&self) -> bool {
        self.kind != InstrumentationKind::Unreachable && self.fee != Fee::ZERO
    }
}

/// The function with meters, as it stands in a code section, without its length.
pub fn meter(
    function: &Unmetered<'_>,
    globals: Globals,
    functions: &mut Functions,
) -> Result<Vec<u8>, MeterError> {
    let mut operators = function.body.get_operators_reader()?;
    let mut writer = Writer::new(function, globals, functions)?;
    writer.prologue()?;
    writer.operators(&mut operators, function.body.range().end, None)?;
    Ok(writer.out)
}

/// A function that takes the module's own parameters, and calls the metered one with the meters': what the
/// host and tables refer to. `metered` is its index.
pub fn entrance(metered: u32, params: u32, globals: Globals) -> Vec<u8> {
    let mut out = Vec::new();
    let stack = params;
    1_u32.encode(&mut out);
    1_u32.encode(&mut out);
    ValType::I64.encode(&mut out);
    let mut sink = InstructionSink::new(&mut out);
    for param in 0..params {
        sink.local_get(param);
    }
    sink.global_get(globals.gas).global_get(globals.stack).local_tee(stack).call(metered);
    sink.local_get(stack).global_set(globals.stack).end();
    out
}

struct Writer<'a> {
    function: &'a Unmetered<'a>,
    functions: &'a mut Functions,
    globals: Globals,
    locals: Locals,
    out: Vec<u8>,
    /// The next point.
    point: usize,
    /// The next inner loop.
    inner_loop: usize,
    /// Up to where the function's own code is written.
    copied: usize,
    /// Whether the global may have another value than the local.
    stale: bool,
    /// The blocks that are open: whether a branch to them takes values along.
    labels: Vec<bool>,
    /// Gas that is still to be subtracted from the local.
    owed: i64,
    /// How many subtractions there were since the last break.
    chain: u32,
}

/// Indices of the meters' locals.
#[derive(Clone, Copy)]
struct Locals {
    /// Gas left.
    gas: u32,
    /// Stack left.
    stack: u32,
    /// A charge by operand. Inner loops have none in them.
    charge: u32,
    /// The operand.
    count: u32,
    /// Bytes of memory there are in an inner loop.
    limit: u32,
    /// The address of an access.
    address: u32,
    /// What is stored: an `i32`, an `i64`, an `f32`, an `f64`.
    values: u32,
    /// The first local whose index moves.
    first_moved: u32,
}

impl Locals {
    /// Types of the locals behind the function's own, for charges by operand and inner loops.
    const SCRATCH: [ValType; 6] =
        [ValType::I64, ValType::I32, ValType::I32, ValType::I64, ValType::F32, ValType::F64];

    /// The local that a value of type `ty` waits in.
    fn value(&self, ty: ValType) -> Option<u32> {
        let number = match ty {
            ValType::I32 => 0,
            ValType::I64 => 1,
            ValType::F32 => 2,
            ValType::F64 => 3,
            ValType::V128 | ValType::Ref(_) => return None,
        };
        Some(self.values + number)
    }
}

impl<'a> Writer<'a> {
    fn new(
        function: &'a Unmetered<'a>,
        globals: Globals,
        functions: &'a mut Functions,
    ) -> Result<Writer<'a>, MeterError> {
        let mut reader = function.body.get_locals_reader()?;
        let groups = reader.get_count();
        let start = reader.original_position();
        let mut declared = 0_u64;
        for _ in 0..groups {
            declared = declared.saturating_add(u64::from(reader.read()?.0));
        }
        let end = reader.original_position();

        let shape = function.shape;
        let needed = shape.charges_by_operand || !shape.inner_loops.is_empty();
        let scratch: &[ValType] = if needed { &Locals::SCRATCH } else { &[] };
        let before = u64::from(function.params) + METER_PARAMS.len() as u64 + declared;
        let found = before + scratch.len() as u64;
        if found > MAX_LOCALS {
            let function = function.index;
            return Err(MeterError::TooManyLocals { function, found, allowed: MAX_LOCALS });
        }
        let before = before as u32;

        let mut out = Vec::with_capacity(function.body.range().len() * 3);
        groups.saturating_add(scratch.len() as u32).encode(&mut out);
        out.extend_from_slice(function.code.get(start..end).unwrap_or_default());
        for ty in scratch {
            1_u32.encode(&mut out);
            ty.encode(&mut out);
        }
        Ok(Writer {
            function,
            functions,
            globals,
            locals: Locals {
                gas: function.params,
                stack: function.params + 1,
                charge: before,
                limit: before,
                count: before + 1,
                address: before + 1,
                values: before + 2,
                first_moved: function.params,
            },
            out,
            point: 0,
            inner_loop: 0,
            copied: end,
            stale: true,
            labels: Vec::new(),
            owed: 0,
            chain: 0,
        })
    }

    /// NEAR's order: the stack for frame and operands, gas for setting up the frame, then the code's.
    fn prologue(&mut self) -> Result<(), MeterError> {
        let Locals { stack, .. } = self.locals;
        let bytes = self.function.stack_bytes.cast_signed();
        self.sink().local_get(stack).i64_const(bytes).i64_lt_u().if_(BlockType::Empty);
        self.write_global();
        self.sink().call(STACK_EXHAUSTED).unreachable().end();
        if self.function.shape.calls {
            self.sink().local_get(stack).i64_const(bytes).i64_sub().local_set(stack);
        }
        let mut charges = vec![self.function.frame_gas];
        while let Some(point) = self.next_point(self.copied + 1) {
            if point.fee.linear != 0 {
                self.point -= 1;
                break;
            }
            charges.push(point.fee.constant);
        }
        self.charge_at_once(&charges, self.copied)?;
        if self.function.shape.branches_out {
            let results = self.function.results;
            self.sink().block(results);
            self.labels.push(!matches!(results, BlockType::Empty));
        }
        Ok(())
    }

    /// Writes the operators up to `end`, with their charges.
    fn operators(
        &mut self,
        operators: &mut OperatorsReader<'a>,
        end: usize,
        mut copy: Option<Copy>,
    ) -> Result<(), MeterError> {
        let affordable = copy.is_some_and(|copy| copy.affordable);
        // Whether the operator before put a number on the stack that no division by it traps for.
        let mut divisor = false;
        while operators.original_position() < end {
            let (operator, start) = operators.read_with_offset()?;
            let next = operators.original_position();
            self.charge_up_to(next, start, copy)?;
            if let Some(copy) = &mut copy {
                self.branch(&operator, start..next, copy)?;
            }
            match operator {
                Operator::Call { function_index } => {
                    self.copy_to(start);
                    self.call(function_index);
                    self.copied = next;
                }
                Operator::CallIndirect { .. } => {
                    self.copy_to(start);
                    self.update_global();
                    let (local, global) = (self.locals.stack, self.globals.stack);
                    self.sink().local_get(local).global_set(global);
                    self.copy_to(next);
                    self.read_global();
                }
                Operator::RefFunc { function_index } => {
                    self.copy_to(start);
                    let entrance = self.functions.entrance(function_index);
                    self.sink().ref_func(entrance);
                    self.copied = next;
                }
                Operator::LocalGet { local_index }
                | Operator::LocalSet { local_index }
                | Operator::LocalTee { local_index } => {
                    if let Some(moved) = self.moved(local_index) {
                        self.copy_to(start);
                        match operator {
                            Operator::LocalGet { .. } => self.sink().local_get(moved),
                            Operator::LocalSet { .. } => self.sink().local_set(moved),
                            _ => self.sink().local_tee(moved),
                        };
                        self.copied = next;
                    }
                }
                Operator::Return => {
                    self.copy_to(start);
                    self.update_global();
                }
                Operator::Loop { blockty } => {
                    // A branch to a loop takes its parameters along.
                    self.labels.push(matches!(blockty, wasmparser::BlockType::FuncType(_)));
                    self.stale = true;
                    if let Some(inner) = self.next_inner_loop(start) {
                        self.copy_to(start);
                        self.twice(operators, inner)?;
                    }
                }
                Operator::End if operators.eof() => {
                    self.copy_to(start);
                    if self.function.shape.branches_out {
                        self.stale = true;
                        self.sink().end();
                    }
                    self.update_global();
                    self.copy_to(next);
                }
                Operator::MemoryGrow { .. } => {
                    if self.functions.asks_to_grow() {
                        self.copy_to(start);
                        self.ask_to_grow();
                    }
                    self.copy_to(next);
                    if let Memory::Growing = self.function.memory {
                        let global = self.globals.memory_bytes;
                        let mut sink = self.sink();
                        sink.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl();
                        sink.global_set(global);
                    }
                }
                Operator::TableGet { .. }
                | Operator::TableSet { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. }
                | Operator::TableFill { .. } => {
                    self.copy_to(start);
                    self.update_global();
                    let global = self.globals.table_access;
                    self.sink().i32_const(1).global_set(global);
                    self.copy_to(next);
                    self.sink().i32_const(0).global_set(global);
                }
                Operator::Else => self.stale = true,
                Operator::End => {
                    self.labels.pop();
                    self.stale = true;
                }
                Operator::Block { blockty } | Operator::If { blockty } => {
                    self.labels.push(blockty != wasmparser::BlockType::Empty);
                }
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::BrTable { .. } => {}
                _ if let Some(access) = affordable.then(|| Access::of(&operator)).flatten() => {
                    self.guarded(&access, start..next);
                }
                _ => {
                    if self.stale && self.may_trap(next) && !(divisor && divides(&operator)) {
                        self.copy_to(start);
                        self.update_global();
                    }
                }
            }
            divisor = matches!(
                operator,
                Operator::I32Const { value } if !matches!(value, 0 | -1),
            ) || matches!(operator, Operator::I64Const { value } if !matches!(value, 0 | -1));
        }
        Ok(())
    }

    fn call(&mut self, function: u32) {
        let metered = self.functions.metered(function);
        if self.functions.is_import(function) {
            self.update_global();
            self.sink().call(metered);
        } else {
            let Locals { gas, stack, .. } = self.locals;
            self.sink().local_get(gas).local_get(stack).call(metered);
        }
        self.read_global();
    }

    /// Lets the host take the price of the growth by the operand, an `i32`.
    fn ask_to_grow(&mut self) {
        let count = self.locals.count;
        self.sink().local_tee(count);
        self.update_global();
        self.sink().local_get(count).call(MEMORY_GROWING);
        self.read_global();
    }

    fn moved(&self, local: u32) -> Option<u32> {
        (local >= self.locals.first_moved).then(|| local + METER_PARAMS.len() as u32)
    }

    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.out)
    }

    /// Writes the function's own code up to `offset`.
    fn copy_to(&mut self, offset: usize) {
        let code = self.function.code.get(self.copied..offset).unwrap_or_default();
        self.out.extend_from_slice(code);
        self.copied = offset;
    }
}

/// Whether an operator traps for some divisors only.
fn divides(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32DivS
            | Operator::I32DivU
            | Operator::I32RemS
            | Operator::I32RemU
            | Operator::I64DivS
            | Operator::I64DivU
            | Operator::I64RemS
            | Operator::I64RemU
    )
}
