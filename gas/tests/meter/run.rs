//! Programs run twice in the same interpreter, metered by NEAR and by us: what the host sees of them must
//! not differ, whatever they do and wherever their gas ends.

use cotenant_gas::{MemoryPolicy, MeterOptions, MeteredModule, Schedule, export};
use near_parameters::vm::{Config, VMKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use wasmi::{Caller, Engine, Error, Extern, Global, Instance, Linker, Module, Store, Val};

use crate::corpus::CORPUS;
use crate::programs::any_program;

/// Gas of one operator, so that gas can be counted in operators here.
const OPERATOR: u64 = 822_756;

/// Everything the host can know of a run.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Gas left at every call of an imported function.
    at_calls: Vec<(String, i64)>,
    /// How it ended.
    end: End,
    /// Gas left at the end; if it ran out, before the charge that could not be paid.
    gas_left: i64,
    /// Pages of memory at the end, and its bytes that are not zero.
    memory: (u64, Vec<(usize, u8)>),
}

#[derive(Debug, PartialEq)]
enum End {
    Returned(Vec<String>),
    OutOfGas { charge: i64 },
    OutOfStack,
    Trapped(String),
}

/// Data of the store: what was seen so far.
#[derive(Default)]
struct Log {
    at_calls: Vec<(String, i64)>,
    end: Option<End>,
}

fn global(caller: &Caller<'_, Log>, name: &str) -> Option<Global> {
    caller.get_export(name).and_then(Extern::into_global)
}

fn gas_left(caller: &Caller<'_, Log>, gas: &str) -> i64 {
    let value = global(caller, gas).expect("the meter").get(caller);
    value.i64().expect("an i64")
}

fn stop(mut caller: Caller<'_, Log>, end: End) -> Result<(), Error> {
    caller.data_mut().end = Some(end);
    Err(Error::new("stopped by the meter"))
}

/// NEAR's meter, and ours: the names they use, and what their functions do.
struct Meter {
    gas: &'static str,
    memory: &'static str,
    start: &'static str,
    link: fn(&mut Linker<Log>) -> Result<(), wasmi::errors::LinkerError>,
}

const NEAR: Meter = Meter {
    gas: "remaining_gas",
    memory: "memory",
    start: "start",
    link: |linker| {
        let internal = "internal";
        linker.func_wrap(internal, "finite_wasm_gas_exhausted", |caller: Caller<'_, Log>| {
            stop(caller, End::OutOfGas { charge: -1 })
        })?;
        linker.func_wrap(internal, "finite_wasm_stack_exhausted", |caller: Caller<'_, Log>| {
            stop(caller, End::OutOfStack)
        })?;
        linker.func_wrap(internal, "finite_wasm_gas", |caller: Caller<'_, Log>, charge: i64| {
            stop(caller, End::OutOfGas { charge })
        })?;
        Ok(())
    },
};

const OURS: Meter = Meter {
    gas: export::GAS,
    memory: export::MEMORY,
    start: export::START,
    link: |linker| {
        linker.func_wrap(
            export::INTERNAL,
            export::STACK_EXHAUSTED,
            |caller: Caller<'_, Log>| stop(caller, End::OutOfStack),
        )?;
        let exhausted = |mut caller: Caller<'_, Log>, charge: i64| {
            let left = gas_left(&caller, export::GAS);
            match left.checked_sub(charge).filter(|left| *left >= 0) {
                Some(left) => {
                    let gas = global(&caller, export::GAS).expect("the meter");
                    gas.set(&mut caller, Val::I64(left)).expect("it is mutable");
                    Ok(())
                }
                None => stop(caller, End::OutOfGas { charge }),
            }
        };
        linker.func_wrap(export::INTERNAL, export::GAS_EXHAUSTED, exhausted)?;
        linker.func_wrap(export::INTERNAL, export::MEMORY_GROWING, |_: i32| {})?;
        Ok(())
    },
};

/// An interpreter whose own limits are far beyond the metered ones.
fn interpreter() -> Engine {
    let mut config = wasmi::Config::default();
    config.wasm_wide_arithmetic(true);
    config.set_max_recursion_depth(1_000_000);
    config.set_max_stack_height(256 << 20);
    Engine::new(&config)
}

fn instantiate(engine: &Engine, code: &[u8], meter: &Meter) -> (Store<Log>, Instance) {
    let module = Module::new(engine, code).expect("metered code is valid");
    let mut linker = Linker::new(engine);
    (meter.link)(&mut linker).expect("each name once");
    let gas = meter.gas;
    let mut linked = std::collections::BTreeSet::new();
    for import in module.imports().filter(|import| import.module() == "env") {
        let name = import.name().to_owned();
        if !linked.insert(name.clone()) {
            continue;
        }
        let ty = import.ty().func().expect("only functions are imported").clone();
        let function = move |mut caller: Caller<'_, Log>, _: &[Val], results: &mut [Val]| {
            let left = gas_left(&caller, gas);
            caller.data_mut().at_calls.push((name.clone(), left));
            // A function of the host's costs something, and says how often it was called.
            let meter = global(&caller, gas).expect("the meter");
            meter.set(&mut caller, Val::I64(left - left.min(1_000))).expect("it is mutable");
            let calls = caller.data().at_calls.len() as i32;
            results.iter_mut().for_each(|result| *result = Val::I32(calls % 5));
            Ok(())
        };
        linker.func_new("env", import.name(), ty, function).expect("each name once");
    }
    let mut store = Store::new(engine, Log::default());
    let instance = linker.instantiate_and_start(&mut store, &module).expect("it can be linked");
    (store, instance)
}

/// Calls `main` with `argument`, if it takes one, and `gas`.
fn run(engine: &Engine, code: &[u8], meter: &Meter, argument: i32, gas: u64) -> Option<Seen> {
    let (mut store, instance) = instantiate(engine, code, meter);
    let main = instance.get_func(&store, "\0main")?;
    let ty = main.ty(&store);
    let arguments = vec![Val::I32(argument); ty.params().len()];
    let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    let left = instance.get_global(&store, meter.gas).expect("the meter");
    left.set(&mut store, Val::I64(gas as i64)).expect("it is mutable");
    let start = instance.get_func(&store, meter.start);
    let started = start.map_or(Ok(()), |start| start.call(&mut store, &[], &mut []));
    let called = started.and_then(|()| main.call(&mut store, &arguments, &mut results));
    let end = match (store.data_mut().end.take(), called) {
        (Some(end), _) => end,
        (None, Ok(())) => End::Returned(results.iter().map(|value| format!("{value:?}")).collect()),
        (None, Err(error)) => End::Trapped(error.to_string()),
    };
    let memory = instance.get_memory(&store, meter.memory).expect("every module has one");
    let bytes = memory.data(&store);
    let bytes = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
    let bytes = bytes.map(|(at, byte)| (at, *byte)).take(1 << 12).collect();
    Some(Seen {
        end,
        gas_left: left.get(&store).i64().expect("an i64"),
        memory: (memory.size(&store), bytes),
        at_calls: std::mem::take(&mut store.data_mut().at_calls),
    })
}

fn config() -> Config {
    let mut config = Config::clone(&Schedule::for_protocol(88).expect("a preset").vm);
    // Memories are compared byte by byte after each run.
    config.limit_config.initial_memory_pages = 2;
    config.limit_config.max_memory_pages = 8;
    config
}

/// Runs `code` under both meters; gives how the run ended.
fn assert_same_run(engine: &Engine, code: &[u8], argument: i32, gas: u64) -> Option<End> {
    let config = config();
    let options =
        MeterOptions { config: &config, memory: MemoryPolicy::Near, private_features: false };
    let near = near_vm_runner::prepare::prepare_contract(code, &config, VMKind::Wasmtime);
    let near = run(engine, &near.expect("NEAR accepts it"), &NEAR, argument, gas);
    let ours = MeteredModule::meter(code, &options).expect("so do we");
    let ours = run(engine, &ours.code, &OURS, argument, gas);
    assert_eq!(near, ours, "argument {argument}, gas {gas}");
    ours.map(|seen| seen.end)
}

#[test]
fn the_corpus_runs_as_under_near_with_enough_gas() {
    let engine = interpreter();
    for (name, text) in CORPUS {
        println!("{name}");
        let code = wat::parse_str(text).expect(name);
        for argument in [0, 1, 2, 3, 10] {
            assert_same_run(&engine, &code, argument, 2_000_000 * OPERATOR);
        }
    }
}

#[test]
fn the_corpus_runs_out_of_gas_at_the_same_charge_as_under_near() {
    let engine = interpreter();
    for (name, text) in CORPUS {
        println!("{name}");
        let code = wat::parse_str(text).expect(name);
        for operators in 0..160 {
            assert_same_run(&engine, &code, 3, operators * OPERATOR);
            assert_same_run(&engine, &code, 3, operators * OPERATOR + OPERATOR / 2);
        }
    }
}

#[test]
fn recursion_without_end_stops_at_the_stack_limit_and_not_before() {
    let engine = interpreter();
    let (_, text) = CORPUS.iter().find(|(name, _)| *name == "endless recursion").expect("there");
    let code = wat::parse_str(text).expect("a module");
    let end = assert_same_run(&engine, &code, 0, 1_000_000 * OPERATOR);
    assert_eq!(end, Some(End::OutOfStack));
}

#[test]
fn random_programs_end_in_many_ways() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let engine = interpreter();
    let (mut returned, mut out_of_gas, mut trapped) = (0, 0, 0);
    for _ in 0..300 {
        let program = any_program().new_tree(&mut runner).expect("a program").current();
        let code = wat::parse_str(&program).expect("a program");
        match assert_same_run(&engine, &code, 1, 500 * OPERATOR) {
            Some(End::Returned(_)) => returned += 1,
            Some(End::OutOfGas { .. }) => out_of_gas += 1,
            Some(End::Trapped(_)) => trapped += 1,
            Some(End::OutOfStack) | None => {}
        }
    }
    assert!(returned > 30 && out_of_gas > 30 && trapped > 30, "{returned} {out_of_gas} {trapped}");
}

proptest! {
    #[test]
    fn any_program_runs_as_under_near(
        program in any_program(),
        argument in any::<i32>(),
        operators in prop_oneof![0_u64..400, 0_u64..20_000],
        rest in 0..OPERATOR,
    ) {
        let code = wat::parse_str(&program).expect("a program");
        let _ = assert_same_run(&interpreter(), &code, argument, operators * OPERATOR + rest);
    }
}
