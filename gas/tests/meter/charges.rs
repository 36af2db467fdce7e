//! The charges that stand in metered code, against those that NEAR's instrumentation writes.

use cotenant_gas::{MemoryPolicy, MeterOptions, MeteredModule, Schedule};
use near_parameters::vm::{Config, VMKind};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

use crate::corpus::CORPUS;
use crate::programs::any_program;

/// Something a function pays, in the order in which it stands in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    Stack(i64),
    Gas(i64),
    Linear { unit: i64, base: i64 },
}

fn config() -> std::sync::Arc<Config> {
    Schedule::for_protocol(88).expect("a preset").vm.clone()
}

fn bodies(code: &[u8]) -> Vec<FunctionBody<'_>> {
    let payloads = Parser::new(0).parse_all(code).map(|payload| payload.expect("valid Wasm"));
    payloads
        .filter_map(|payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        })
        .collect()
}

fn operators<'a>(body: &FunctionBody<'a>) -> Vec<Operator<'a>> {
    let reader = body.get_operators_reader().expect("a body");
    reader.into_iter().map(|operator| operator.expect("an operator")).collect()
}

/// What NEAR's instrumentation charges: constants go to `finite_wasm_gas`, function 2.
fn charges_of_near(body: &FunctionBody<'_>) -> Vec<Charge> {
    use Operator as O;
    let code = operators(body);
    let mut charges = Vec::new();
    for (at, operator) in code.iter().enumerate() {
        match (operator, &code[at..]) {
            (
                O::GlobalGet { .. },
                [_, O::I64Const { value: 0 }, O::I64Const { value }, _, O::I64Sub128, ..],
            ) => {
                charges.push(Charge::Stack(*value));
            }
            (O::I64Const { value }, [_, O::Call { function_index: 2 }, ..]) => {
                charges.push(Charge::Gas(*value));
            }
            (
                O::I64Const { value: unit },
                [
                    _,
                    O::I64MulWideU,
                    O::I64Eqz,
                    O::If { .. },
                    O::Else,
                    O::Call { .. },
                    O::Unreachable,
                    O::End,
                    O::I64Const { value: 0 },
                    O::I64Const { value: base },
                    ..,
                ],
            ) => charges.push(Charge::Linear { unit: *unit, base: *base }),
            _ => {}
        }
    }
    charges
}

/// What our meter charges: constants go to `gas_exhausted`, function 0.
fn charges_of_ours(body: &FunctionBody<'_>) -> Vec<Charge> {
    use Operator as O;
    let code = operators(body);
    let mut charges = Vec::new();
    for (at, operator) in code.iter().enumerate() {
        match (operator, &code[at..]) {
            (
                O::I64Const { value },
                [
                    _,
                    O::I64LtU,
                    O::If { .. },
                    O::LocalGet { .. },
                    O::GlobalSet { .. },
                    O::Call { function_index: 1 },
                    ..,
                ],
            ) => {
                charges.push(Charge::Stack(*value));
            }
            (O::I64Const { value }, [_, O::Call { function_index: 0 }, ..]) => {
                charges.push(Charge::Gas(*value));
            }
            (
                O::I64ExtendI32U,
                [
                    _,
                    O::I64Const { value: unit },
                    O::I64Mul,
                    O::I64Const { value: base },
                    O::I64Add,
                    O::LocalTee { .. } | O::LocalSet { .. },
                    ..,
                ],
            ) => charges.push(Charge::Linear { unit: *unit, base: *base }),
            _ => {}
        }
    }
    charges
}

/// Both ways of metering `code`, function by function; nothing if NEAR does not accept it.
fn assert_same_charges(code: &[u8]) {
    let config = config();
    let options =
        MeterOptions { config: &config, memory: MemoryPolicy::Near, private_features: false };
    let near = near_vm_runner::prepare::prepare_contract(code, &config, VMKind::Wasmtime);
    let near = near.expect("NEAR accepts it");
    let ours = MeteredModule::meter(code, &options).expect("so do we");
    let (near, ours) = (bodies(&near), bodies(&ours.code));
    for entrance in ours.iter().skip(near.len()) {
        assert_eq!(charges_of_ours(entrance), [], "entrances are free");
    }
    for (index, (near, ours)) in near.iter().zip(&ours).enumerate() {
        assert_eq!(charges_of_near(near), charges_of_ours(ours), "function {index}");
    }
}

#[test]
fn every_function_of_the_corpus_charges_what_near_charges_in_the_same_order() {
    for (name, text) in CORPUS {
        println!("{name}");
        assert_same_charges(&wat::parse_str(text).expect(name));
    }
}

#[test]
fn an_operator_of_wide_arithmetic_costs_two_operators() {
    let charges = |operator: &str| {
        let text = format!(
            r#"(module (func (result i64 i64)
                (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) {operator}))"#
        );
        let code = wat::parse_str(text).expect("text of a module");
        let config = config();
        let options = MeterOptions {
            config: &config,
            memory: MemoryPolicy::Declared,
            private_features: true,
        };
        let module = MeteredModule::meter(&code, &options).expect("a private module");
        bodies(&module.code).first().map(charges_of_ours)
    };
    assert_eq!(charges("(i64.add128)"), charges("(drop) (drop)"));
    assert_eq!(charges("(i64.sub128)"), charges("(drop) (drop)"));
    for operator in ["(i64.mul_wide_s)", "(i64.mul_wide_u)"] {
        assert_eq!(
            charges(&format!("{operator} (drop) (drop)")),
            charges("(nop) (nop) (drop) (drop)")
        );
    }
}

proptest::proptest! {
    #[test]
    fn every_function_of_any_program_charges_what_near_charges(program in any_program()) {
        assert_same_charges(&wat::parse_str(&program).expect("a program"));
    }
}
