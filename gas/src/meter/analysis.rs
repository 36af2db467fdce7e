//! What each operator costs and how large a frame is, in NEAR's terms; finite-wasm sums it up.
//!
//! finite-wasm speaks wasmparser 0.228, the rest of this crate 0.236: nothing of 0.228 leaves this file
//! but offsets and numbers.

use std::borrow::Cow;
use std::ops::Range;

use finite_wasm::wasmparser::{self as wp, ValType};
use finite_wasm::{AnalysisOutcome, Fee, max_stack};
use near_parameters::vm;
use prefix_sum_vec::PrefixSumVec;

use super::MeterError;

/// What an operator of wide arithmetic does to the operand stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// `i64.add128` and `i64.sub128`.
    FourToTwo,
    /// `i64.mul_wide_s` and `i64.mul_wide_u`.
    TwoToTwo,
}

const DROP: u8 = 0x1a;
const NOP: u8 = 0x01;

/// Bytes of stack that a frame takes besides its locals: return address, saved registers.
const FRAME_BYTES: u64 = 64;

/// Where a valid module has to charge how much gas, and what its functions need of the stack.
pub fn analyse(
    code: &[u8],
    wide_operators: &[(Range<usize>, Wide)],
    config: &vm::Config,
) -> Result<AnalysisOutcome, MeterError> {
    let code = without_wide_operators(code, wide_operators);
    let prices = Prices {
        regular: u64::from(config.regular_op_cost),
        linear_base: config.linear_op_base_cost,
        linear_unit: config.linear_op_unit_cost,
    };
    finite_wasm::Analysis::new()
        .with_stack(Sizes)
        .with_gas(prices)
        .analyze(&code)
        .map_err(|error| MeterError::Analysis { message: with_sources(&error) })
}

/// finite-wasm refuses wide arithmetic. Each of its operators is two bytes long, so two operators of one
/// byte that do the same to the operand stack can stand in for it: that prices it as two operators. An
/// index written in more bytes than it needs is filled up with `nop`s, each priced too.
fn without_wide_operators<'a>(
    code: &'a [u8],
    wide_operators: &[(Range<usize>, Wide)],
) -> Cow<'a, [u8]> {
    let mut code = Cow::Borrowed(code);
    for (range, wide) in wide_operators {
        if let Some(bytes) = code.to_mut().get_mut(range.clone()) {
            bytes.fill(NOP);
            if *wide == Wide::FourToTwo {
                bytes.iter_mut().take(2).for_each(|byte| *byte = DROP);
            }
        }
    }
    code
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Bytes of stack that values and frames take, as in near-vm-runner's `prepare_v3.rs`.
struct Sizes;

impl max_stack::SizeConfig for Sizes {
    fn size_of_value(&self, ty: ValType) -> u8 {
        match ty {
            ValType::I32 | ValType::F32 => 4,
            ValType::I64 | ValType::F64 | ValType::Ref(_) => 8,
            ValType::V128 => 16,
        }
    }

    /// `locals` has runs of locals of one type, each with the index of its last.
    fn size_of_function_activation(&self, locals: &PrefixSumVec<ValType, u32>) -> u64 {
        let mut bytes = FRAME_BYTES;
        let mut next = 0_u64;
        for (last, ty) in locals {
            let after = u64::from(*last).saturating_add(1);
            let run = after.saturating_sub(next);
            bytes = bytes.saturating_add(run.saturating_mul(u64::from(self.size_of_value(*ty))));
            next = after;
        }
        bytes
    }
}

/// Gas that operators cost, as in near-vm-runner's `prepare_v3.rs`.
struct Prices {
    regular: u64,
    linear_base: u64,
    linear_unit: u64,
}

impl Prices {
    /// The price of the operator that wasmparser calls `name`.
    #[inline(always)]
    fn of(&self, name: &str) -> Fee {
        match name {
            "Block" | "End" | "Else" => Fee::ZERO,
            "MemoryInit" | "MemoryCopy" | "MemoryFill" | "MemoryGrow" | "TableInit"
            | "TableCopy" | "TableFill" | "TableGrow" => {
                Fee { constant: self.linear_base, linear: self.linear_unit }
            }
            _ => Fee::constant(self.regular),
        }
    }
}

macro_rules! price_every_operator {
    ($(@$proposal:ident $name:ident $({ $($argument:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        $(fn $visit(&mut self $($(, _: $ty)*)?) -> Fee {
            self.of(stringify!($name))
        })*
    };
}

impl<'a> wp::VisitOperator<'a> for Prices {
    type Output = Fee;
    wp::for_each_visit_operator!(price_every_operator);
}

impl wp::VisitSimdOperator<'_> for Prices {
    wp::for_each_visit_simd_operator!(price_every_operator);
}
