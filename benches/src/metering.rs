//! What the meters cost: four kernels as they are and with gas and stack meters, both compiled by wasmer's
//! cranelift with the host's settings, outside of the host.

use crate::stats::{Pair, geomean, nanos_each, pair};
use anyhow::{Context as _, Result, anyhow, bail};
use cotenant_gas::{MemoryPolicy, MeterOptions, MeteredModule, Schedule, export};
use serde::Serialize;
use wasmer::sys::{Cranelift, EngineBuilder, Features};
use wasmer::{Function, Imports, Instance, Module, Store, TypedFunction, Value};

/// Paired runs of each kernel.
const RUNS: usize = 21;

const FIB: &str = r#"(module (memory (export "memory") 1)
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                     (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "run") (i32.store (i32.const 0) (call $fib (i32.const 27)))))"#;

const SIEVE: &str = r#"(module (memory (export "memory") 16)
  (func (export "run")
    (local $i i32) (local $j i32) (local $found i32)
    (memory.fill (i32.const 64) (i32.const 0) (i32.const 1000000))
    (local.set $i (i32.const 2))
    (loop $outer
      (if (i32.eqz (i32.load8_u offset=64 (local.get $i)))
        (then
          (local.set $found (i32.add (local.get $found) (i32.const 1)))
          (local.set $j (i32.shl (local.get $i) (i32.const 1)))
          (block $done
            (loop $inner
              (br_if $done (i32.ge_u (local.get $j) (i32.const 1000000)))
              (i32.store8 offset=64 (local.get $j) (i32.const 1))
              (local.set $j (i32.add (local.get $j) (local.get $i)))
              (br $inner)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (local.get $i) (i32.const 1000000))))
    (i32.store (i32.const 0) (local.get $found))))"#;

const SOAK: &str = r#"(module (memory (export "memory") 2)
  (func (export "run")
    (local $i i32) (local $j i32) (local $k i32) (local $byte i32)
    (loop $next
      (local.set $j (i32.rem_u
        (i32.add (i32.mul (local.get $i) (i32.const 7)) (i32.const 51200)) (i32.const 102400)))
      (local.set $k (i32.rem_u (i32.mul (local.get $i) (i32.const 3)) (i32.const 102400)))
      (local.set $byte (i32.load8_u offset=64 (local.get $j)))
      (i32.store8 offset=64 (local.get $j) (i32.load8_u offset=64 (local.get $k)))
      (i32.store8 offset=64 (local.get $k) (local.get $byte))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 1000000))))
    (i32.store (i32.const 0) (local.get $i))))"#;

const HASH: &str = r#"(module (memory (export "memory") 1)
  (func $mix (param $hash i64) (param $word i64) (result i64)
    (local.set $hash (i64.mul (i64.xor (local.get $hash) (local.get $word))
      (i64.const 0x9E3779B97F4A7C15)))
    (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 29))))
    (i64.rotl (i64.mul (local.get $hash) (i64.const 0xBF58476D1CE4E5B9)) (i64.const 17)))
  (func (export "run")
    (local $i i64) (local $hash i64)
    (loop $next
      (local.set $hash (call $mix (local.get $hash) (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $next (i64.lt_u (local.get $i) (i64.const 1000000))))
    (i64.store (i32.const 0) (local.get $hash))))"#;

/// The kernels by name.
pub const KERNELS: [(&str, &str); 4] =
    [("fib", FIB), ("sieve", SIEVE), ("soak", SOAK), ("hash_calls", HASH)];

/// A kernel, ready to run.
pub struct Kernel {
    store: Store,
    instance: Instance,
    run: TypedFunction<(), ()>,
    metered: bool,
}

fn engine() -> wasmer::Engine {
    // As in `host/src/engine/native.rs`.
    let mut features = Features::default();
    features.bulk_memory(true).reference_types(true).multi_value(true).wide_arithmetic(true);
    let mut compiler = Cranelift::default();
    compiler.canonicalize_nans(true);
    EngineBuilder::new(compiler).set_features(Some(features)).engine().into()
}

impl Kernel {
    /// Compiles a kernel, with meters or without.
    pub fn new(text: &str, metered: bool) -> Result<Self> {
        let bare = wat::parse_str(text)?;
        let schedule = Schedule::for_protocol(88)?;
        let options = MeterOptions {
            config: &schedule.vm,
            memory: MemoryPolicy::Declared,
            private_features: true,
        };
        let code = if metered { MeteredModule::meter(&bare, &options)?.code } else { bare };
        let mut store = Store::new(engine());
        let module = Module::from_binary(&store, &code)?;
        let mut imports = Imports::new();
        let exhausted = Function::new_typed(&mut store, |_: u64| {});
        imports.define(export::INTERNAL, export::GAS_EXHAUSTED, exhausted);
        let exhausted = Function::new_typed(&mut store, || {});
        imports.define(export::INTERNAL, export::STACK_EXHAUSTED, exhausted);
        let growing = Function::new_typed(&mut store, |_: u32| {});
        imports.define(export::INTERNAL, export::MEMORY_GROWING, growing);
        let instance = Instance::new(&mut store, &module, &imports)?;
        let name = if metered { [export::FUNCTION_PREFIX, "run"].concat() } else { "run".into() };
        let run = instance.exports.get_typed_function(&store, &name)?;
        Ok(Self { store, instance, run, metered })
    }

    /// Runs it once; gives its nanoseconds.
    pub fn run(&mut self) -> Result<f64> {
        if self.metered {
            let gas = self.instance.exports.get_global(export::GAS)?;
            gas.set(&mut self.store, Value::I64(i64::MAX))
                .map_err(|error| anyhow!("the gas meter: {error}"))?;
        }
        nanos_each(1, || Ok(self.run.call(&mut self.store)?))
    }

    /// What it computed.
    fn result(&self) -> Result<[u8; 8]> {
        let mut bytes = [0; 8];
        let memory = self.instance.exports.get_memory(export::MEMORY)?;
        memory.view(&self.store).read(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// One kernel's times.
#[derive(Debug, Serialize)]
pub struct KernelTimes {
    /// Its name.
    pub kernel: &'static str,
    /// Metered, bare, metered over bare.
    pub metered_over_bare: Pair,
}

/// All kernels, and the geometric mean of their median ratios.
pub fn measure() -> Result<(f64, Vec<KernelTimes>)> {
    let mut all = Vec::new();
    for (kernel, text) in KERNELS {
        let mut bare = Kernel::new(text, false).with_context(|| kernel)?;
        let mut metered = Kernel::new(text, true).with_context(|| kernel)?;
        let metered_over_bare = pair(RUNS, || metered.run(), || bare.run())?;
        if bare.result()? != metered.result()? {
            bail!("{kernel}: the metered code computes something else");
        }
        all.push(KernelTimes { kernel, metered_over_bare });
    }
    Ok((geomean(all.iter().map(|one| one.metered_over_bare.ratio.median)), all))
}
