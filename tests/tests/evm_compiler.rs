//! The compiler of EVM contracts as a module: built for wasm32 without `std`, it gives the bytes that it gives
//! here, and its gas says, to the unit and on every machine, how much work a compilation is.

use cotenant_host::engine::EngineKind;
use cotenant_host::exec::{CallContext, Progress};
use cotenant_submodules::{Grants, Namespace, SyncExecutionError};
use cotenant_tests::seed::rng;
use cotenant_tests::world::{World, call_context};
use evm_driver::bench::{FAMILIES, hostile};
use evm_to_wasm::{Fork, Keccak, Options};
use rand::Rng;

/// More than any compilation here needs.
const GAS: u64 = 1 << 60;

/// A fixed part of every compilation, in gas: tables, the runtime functions, the start of the module.
const FIXED_GAS: f64 = 3e12;

struct Compiler(World);

impl Compiler {
    fn new() -> Self {
        Self(World::new(&[("compiler", cotenant_contracts::evm_compiler())]).unwrap())
    }

    /// What the module makes of an input, and the gas that it burns.
    fn run(&self, engine: EngineKind, input: Vec<u8>) -> (Progress, u64) {
        // A view may burn what it is given; the limit of a block is not the subject.
        let context = CallContext { view: true, ..call_context(GAS) };
        let session = self.0.session_of(engine, context);
        let name = Namespace::from_bytes(b"compiler").unwrap();
        let mut live = session.open(&name, "compile", 0, Grants::NONE).unwrap();
        let progress = live.resume(input).unwrap();
        (progress, GAS - session.gas_left())
    }

    /// The gas of a compilation, whose result is the native compiler's.
    fn check(&self, what: &str, code: &[u8], options: Options) -> u64 {
        let input = borsh::to_vec(&(code, options)).unwrap();
        let (progress, gas) = self.run(EngineKind::Cranelift, input);
        let Progress::Done(wasm) = progress else { panic!("{what}: {progress:?}") };
        assert!(wasm == evm_to_wasm::compile(code, &options).wasm, "{what}: another module");
        gas
    }
}

#[test]
fn the_module_gives_the_bytes_that_the_native_compiler_gives() {
    let compiler = Compiler::new();
    let mut random = rng();
    for fork in [Fork::Cancun, Fork::Prague, Fork::Osaka] {
        for keccak in [Keccak::Own, Keccak::Host] {
            let options = Options { fork, keccak };
            compiler.check("nothing", &[], options);
            // keccak-256, CLZ.
            compiler.check("small", &[0x5f, 0x5f, 0x20, 0x1e, 0x5f, 0x55], options);
        }
    }
    for family in FAMILIES {
        compiler.check(family.name, &family.code(1_500), Options::default());
    }
    for _ in 0..200 {
        let length = random.random_range(0..300);
        let code: Vec<u8> = (0..length)
            .map(|_| match random.random_range(0..6) {
                0 => 0x5b,
                1 => 0x60,
                2 => 0x57,
                3 => random.random_range(0x80..0xa0),
                _ => random.random(),
            })
            .collect();
        compiler.check("random", &code, Options::default());
    }
}

#[test]
fn an_input_that_is_none_ends_with_a_message() {
    let compiler = Compiler::new();
    for engine in [EngineKind::Cranelift, EngineKind::Wasmi] {
        for input in [vec![], vec![1, 0, 0, 0], vec![0, 0, 0, 0, 9, 9], vec![0xff; 6]] {
            let (progress, _) = compiler.run(engine, input);
            let message = "the input is borsh of the code and the options".to_owned();
            assert_eq!(progress, Progress::Failed(SyncExecutionError::GuestPanic(message)));
        }
    }
}

/// Gas of a call, in which a compilation has to fit with the deploy of what it makes.
const CALL_GAS: f64 = 1e15;

/// What deploying a byte of Wasm costs at most, and what the engine and its callback cost around a compilation.
const DEPLOY_GAS: f64 = 0.11e9;
const AROUND_GAS: f64 = 40e12;

/// Four times the code is at most six times the work, whatever the code, and what is made of the largest fits a call.
#[test]
fn work_is_in_proportion_to_the_code() {
    let compiler = Compiler::new();
    let (small, large) = (6_144, 24_576);
    let mut beyond = Vec::new();
    for family in FAMILIES {
        let of =
            |bytes| compiler.check(family.name, &family.code(bytes), Options::default()) as f64;
        let (before, after) = (of(small), of(large));
        let growth = after / before.max(FIXED_GAS);
        println!(
            "{:40} {:6.2} Ggas a byte, {:6.2} at a quarter, growth {growth:.2}",
            family.name,
            after / large as f64 / 1e9,
            before / small as f64 / 1e9,
        );
        let wasm = evm_to_wasm::compile(&family.code(large), &Options::default()).wasm.len();
        let call = after + wasm as f64 * DEPLOY_GAS + AROUND_GAS;
        if growth > 6.0 || call > CALL_GAS {
            beyond.push((family.name, growth, call / 1e12));
        }
    }
    assert!(beyond.is_empty(), "{beyond:?}");
}

/// Bytes of Wasm for each byte of code made to be hard, at most; helpers and bytes kept for CODECOPY apart.
const WASM_PER_BYTE_MAX: f64 = 40.0;

#[test]
fn the_host_takes_what_is_made_of_hostile_code_and_it_is_not_too_large() {
    let report = hostile(None, &[], 0, EngineKind::Wasmi, &|_| {}).unwrap();
    assert!(report.rows.len() > FAMILIES.len());
    let refused: Vec<_> = report
        .rows
        .iter()
        .filter_map(|row| Some((&row.name, row.code_bytes, row.refused.as_ref()?)))
        .collect();
    let large: Vec<_> = report
        .rows
        .iter()
        // A small code's Wasm is what every module has.
        .filter(|row| row.code_bytes >= 6_144 && row.wasm_per_byte > WASM_PER_BYTE_MAX)
        .map(|row| (&row.name, row.code_bytes, row.wasm_per_byte))
        .collect();
    assert!(refused.is_empty() && large.is_empty(), "refused: {refused:#?}, large: {large:#?}");
}
