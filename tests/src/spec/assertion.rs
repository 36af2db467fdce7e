//! An assertion as a method: does what was done to the instance before, does its own step, and compares.

use super::{Action, Expect, Step, Value, Wanted};
use wasm_encoder::{BlockType, Function, HeapType, Ieee32, Ieee64, Instruction as I};

/// What exports of the original module are, in the indices of the new one.
pub trait Exports {
    /// A function, and how many results it has.
    fn function(&self, name: &str) -> Option<(u32, usize)>;
    /// A global.
    fn global(&self, name: &str) -> Option<u32>;
}

/// The body of an assertion's method; `None` if it names an export that is not there. `before` is done first, `differ` is called
/// when a result is another than wanted.
pub fn body(
    exports: &impl Exports,
    before: &[&Step],
    step: &Step,
    differ: u32,
) -> Option<Function> {
    let mut function = Function::new([]);
    for earlier in before {
        for _ in 0..act(&mut function, exports, &earlier.action)? {
            function.instruction(&I::Drop);
        }
    }
    let results = act(&mut function, exports, &step.action)?;
    match &step.expect {
        Expect::Returns(wanted) => {
            if wanted.len() != results {
                return None;
            }
            for one in wanted.iter().rev() {
                compare(&mut function, *one, differ);
            }
        }
        _ => {
            for _ in 0..results {
                function.instruction(&I::Drop);
            }
        }
    }
    function.instruction(&I::End);
    Some(function)
}

/// Does a step; gives how many results it leaves on the stack.
fn act(function: &mut Function, exports: &impl Exports, action: &Action) -> Option<usize> {
    match action {
        Action::Get { name } => {
            function.instruction(&I::GlobalGet(exports.global(name)?));
            Some(1)
        }
        Action::Invoke { name, arguments } => {
            let (index, results) = exports.function(name)?;
            for argument in arguments {
                push(function, *argument);
            }
            function.instruction(&I::Call(index));
            Some(results)
        }
    }
}

fn push(function: &mut Function, value: Value) {
    function.instruction(&match value {
        Value::I32(value) => I::I32Const(value),
        Value::I64(value) => I::I64Const(value),
        Value::F32(bits) => I::F32Const(Ieee32::new(bits)),
        Value::F64(bits) => I::F64Const(Ieee64::new(bits)),
        Value::NullFunction => I::RefNull(HeapType::FUNC),
    });
}

/// Takes a result from the stack and calls `differ` if it is not what is wanted.
fn compare(function: &mut Function, wanted: Wanted, differ: u32) {
    // Bits of the result that count, and what they have to be.
    let narrow = |bits: u32, mask: u32| {
        [
            I::I32ReinterpretF32,
            I::I32Const(mask.cast_signed()),
            I::I32And,
            I::I32Const(bits.cast_signed()),
            I::I32Ne,
        ]
    };
    let wide = |bits: u64, mask: u64| {
        [
            I::I64ReinterpretF64,
            I::I64Const(mask.cast_signed()),
            I::I64And,
            I::I64Const(bits.cast_signed()),
            I::I64Ne,
        ]
    };
    const NARROW_NAN: u32 = 0x7fc0_0000;
    const WIDE_NAN: u64 = 0x7ff8_0000_0000_0000;
    let check: Vec<I<'_>> = match wanted {
        Wanted::Exactly(Value::I32(value)) => vec![I::I32Const(value), I::I32Ne],
        Wanted::Exactly(Value::I64(value)) => vec![I::I64Const(value), I::I64Ne],
        Wanted::Exactly(Value::F32(bits)) => narrow(bits, u32::MAX).into(),
        Wanted::Exactly(Value::F64(bits)) => wide(bits, u64::MAX).into(),
        Wanted::Exactly(Value::NullFunction) => vec![I::RefIsNull, I::I32Eqz],
        Wanted::SomeFunction => vec![I::RefIsNull],
        Wanted::CanonicalNan { wide: false } => narrow(NARROW_NAN, u32::MAX >> 1).into(),
        Wanted::CanonicalNan { wide: true } => wide(WIDE_NAN, u64::MAX >> 1).into(),
        Wanted::ArithmeticNan { wide: false } => narrow(NARROW_NAN, NARROW_NAN).into(),
        Wanted::ArithmeticNan { wide: true } => wide(WIDE_NAN, WIDE_NAN).into(),
    };
    for instruction in &check {
        function.instruction(instruction);
    }
    function.instruction(&I::If(BlockType::Empty));
    function.instruction(&I::Call(differ));
    function.instruction(&I::End);
}
