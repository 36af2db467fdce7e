//! `calibrate`: how long the parts of a sync call take on every engine, and the gas that follows from it.
//!
//! ```text
//! gas = max over engines of ( nanoseconds x 1,000,000 x machine factor x 3 ), two digits, rounded up
//! ```
//! - 1,000,000 gas a nanosecond: NEAR's own equivalence, 1 Tgas to 1 ms.
//! - Machine factor: NEAR's prices have a safety factor of 3 in them, so on the machine they mean a call takes
//!   a third of the time that its gas stands for. `soak_ratio` is near-vm-runner's time for soak at 10,000
//!   loops over the time that the gas of this very call stands for (`gas_vm / 1,000,000` ns); the factor is
//!   `(1/3) / soak_ratio`. A machine twice as fast has half the ratio and half of our times, and so the same
//!   gas. It is kept between 1 and 2: below 1 would charge less than was measured here, and above 2 mostly
//!   says that near-vm-runner compiles better code today than when Wasm was priced, which no machine explains.
//! - 3: the safety factor.
//!
//! What is measured, most of it by a public parent in Wasm through whole root calls, by the difference between
//! many and few of what is priced, so that the root call itself drops out:
//!
//! | name | measured as |
//! |---|---|
//! | `resume`, `callback` | round trip of an empty yield, of which `resume` is three quarters: only the sum can be measured |
//! | `lookup` | an open that is refused because the module has no such method |
//! | `open` | open, resume, return, less `resume` and `lookup` |
//! | `close` | what it costs more if the callee yields instead and is closed |
//! | `memory_page` | a page more that a callee starts with and does not touch: commit and reset |
//! | `memory_growth` | growing once by a page instead of not at all, or once more |
//! | `grown_page` | a page more that a callee grows by at once and does not touch |
//! | `byte_in`, `byte_out` | a byte more of answer, of yield |
//! | `register` | the dearest of the four functions on eight bytes |
//! | `register_byte` | the dearest of the four for a byte more |
//! | `instance.data_byte`, `data_segment`, `global`, `table_element` | one more of them, opened warm or the first time on a thread, whichever is dearer |
//! | `instance.made_anew` | the first open on a thread instead of the second |
//! | `instance.function`, `export`, `segment_item` | one more of them, opened the first time on a thread |
//!
//! Beside them, without a price: what a page costs whose every 4 KiB the callee writes to (`touched_page`).
//! Most of it are page faults, which a public module causes as well and NEAR does not price.

use crate::stats::{Spread, nanos_each, sample};
use crate::world::{World, context, namespace, to_the_end};
use crate::{modules, soak, table};
use anyhow::{Result, bail};
use cotenant_gas::{InstanceCosts, SyncCosts};
use cotenant_host::engine::EngineKind;
use cotenant_submodules::Visibility::{Private, Public};
use serde::Serialize;
use std::collections::HashMap;

/// NEAR's equivalence of gas and time.
const GAS_PER_NANOSECOND: f64 = 1_000_000.0;

/// On top of what is measured; also what NEAR's own prices have in them.
const SAFETY_FACTOR: f64 = 3.0;

/// Bounds of the machine factor.
const MACHINE_FACTOR: (f64, f64) = (1.0, 2.0);

/// The dear end of every difference.
const MANY: u64 = 200;
const LONG: u64 = 65_536;
const PAGES: u32 = 129;

/// How many costs there are.
const COSTS: usize = 20;

/// The first of those that are about what an instance is made of.
const INSTANCE_FROM: usize = 12;

/// One of the costs.
#[derive(Debug, Serialize)]
pub struct Cost {
    name: &'static str,
    /// Nanoseconds on each engine, in the order of [`EngineKind::ALL`].
    nanos: [Spread; 2],
    /// The largest median, and where.
    largest_nanos: f64,
    largest_on: &'static str,
    /// The price that follows.
    gas: u64,
    /// The price now.
    gas_now: u64,
}

/// The object that `calibrate --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    costs: Vec<Cost>,
    /// Nanoseconds of a page that the callee writes to, on each engine; no price.
    touched_page_nanos: [Spread; 2],
    soak: soak::Report,
    soak_ratio: f64,
    machine_factor_raw: f64,
    machine_factor: f64,
    safety_factor: f64,
    machine: String,
    runs: usize,
}

struct Bench {
    world: World,
    engine: EngineKind,
    runs: usize,
}

impl Bench {
    /// Nanoseconds for one of what `method` of the parent does `MANY` times, the root call itself left out.
    fn each(&self, method: &str, bytes_in: u64, bytes_out: u64) -> Result<Spread> {
        let probe = |count: u64| {
            let input = [count, bytes_in, bytes_out].map(u64::to_le_bytes).concat();
            let call = context(method, input);
            nanos_each(1, || match self.world.call(self.engine, call)?.abort {
                None => Ok(()),
                Some(abort) => bail!("`{method}`: {}: {}", abort.code, abort.message),
            })
        };
        sample(self.runs, || Ok((probe(MANY)? - probe(0)?) / MANY as f64))
    }

    /// Nanoseconds for a page more, touched or left alone.
    fn page(&self, method: &str) -> Result<Spread> {
        let session = self.world.session(self.engine);
        let probe = |name: &str| {
            let name = namespace(name);
            nanos_each(1, || to_the_end(&session, &name, method, Vec::new()))
        };
        sample(self.runs, || Ok((probe("many")? - probe("one")?) / f64::from(PAGES - 1)))
    }

    /// Nanoseconds for a page more that a memory grows by at once, and for growing at all or once more.
    fn growth(&self) -> Result<(Spread, Spread)> {
        let session = self.world.session(self.engine);
        let name = namespace("one");
        let probe = |times: u32, pages: u32| {
            let input = [times, pages].map(u32::to_le_bytes).concat();
            nanos_each(1, || to_the_end(&session, &name, "grow", input))
        };
        let each = f64::from(PAGES - 1);
        let page = sample(self.runs, || Ok((probe(1, PAGES)? - probe(1, 1)?) / each))?;
        let more = sample(self.runs, || Ok((probe(PAGES, 1)? - probe(1, PAGES)?) / each))?;
        let first = sample(self.runs, || Ok(probe(1, 1)? - probe(0, 1)?))?;
        Ok((page, dearer(first, more)))
    }

    /// Nanoseconds for one more of each of [`modules::PARTS`], of a warm instance and of one that is made, and for making one at
    /// all.
    fn parts(&self) -> Result<([(Spread, Spread); 7], Spread)> {
        let engine = self.engine;
        let run = move |world: &World, name: &str| {
            let (session, name) = (world.session(engine), namespace(name));
            nanos_each(1, || to_the_end(&session, &name, "run", Vec::new()))
        };
        let first = |name: &str| {
            self.world.afresh(|world| {
                // What a thread does once is not what is asked for.
                for _ in 0..3 {
                    run(world, "small_part")?;
                }
                run(world, name)
            })
        };
        let mut found = Vec::new();
        for (part, count) in modules::PARTS {
            let (many, each) = (format!("many_{part}"), f64::from(count));
            run(&self.world, &many)?;
            let warm = sample(self.runs, || {
                Ok((run(&self.world, &many)? - run(&self.world, "no_part")?).max(0.0) / each)
            })?;
            let made =
                sample(self.runs, || Ok((first(&many)? - first("no_part")?).max(0.0) / each))?;
            found.push((warm, made));
        }
        let anew =
            sample(self.runs, || Ok((first("no_part")? - run(&self.world, "no_part")?).max(0.0)))?;
        let found = found.try_into();
        Ok((found.map_err(|_| anyhow::anyhow!("a spread for each part"))?, anew))
    }

    /// Nanoseconds of one call of a register function on so many bytes.
    fn register(&self, method: &str, length: u64) -> Result<Spread> {
        let name = namespace("registers");
        let probe = |count: u64| {
            let session = self.world.session(self.engine);
            let mut input = vec![0; length as usize];
            input[..8].copy_from_slice(&count.to_le_bytes());
            nanos_each(1, || to_the_end(&session, &name, method, input))
        };
        sample(self.runs, || Ok((probe(MANY)? - probe(0)?) / MANY as f64))
    }

    /// All costs, in the order of [`prices`], and then a touched page.
    fn all(&self) -> Result<[Spread; COSTS + 1]> {
        let trip = self.each("trips", 0, 0)?;
        let (resume, callback) = (trip.map(|trip| trip * 0.75), trip.map(|trip| trip * 0.25));
        let per_byte = |long: Spread, short: Spread, bytes: u64| {
            long.map(|long| (long - short.median).max(0.0) / bytes as f64)
        };
        let byte_in = per_byte(self.each("trips", LONG, 0)?, trip, LONG);
        let byte_out = per_byte(self.each("trips", 0, LONG)?, trip, LONG);
        let (returned, closed) = (self.each("starts", 0, 0)?, self.each("closes", 0, 0)?);
        let lookup = self.each("refused", 0, 0)?;
        let open = returned.map(|ended| (ended - resume.median - lookup.median).max(0.0));
        let close = closed.map(|ended| (ended - returned.median).max(0.0));
        let (mut register, mut register_byte) = (Spread::of(vec![0.0]), Spread::of(vec![0.0]));
        for method in ["input", "read_register", "register_len", "value_return"] {
            let short = self.register(method, 8)?;
            let long = self.register(method, LONG)?;
            let byte = per_byte(long, short, LONG - 8);
            if short.median > register.median {
                register = short;
            }
            if byte.median > register_byte.median {
                register_byte = byte;
            }
        }
        let (start_page, touched) = (self.page("leave")?, self.page("touch")?);
        let (grown_page, growth) = self.growth()?;
        let or_nothing = |cost: Spread| dearer(cost, Spread::of(vec![0.0]));
        let (page, growth) = (or_nothing(start_page), or_nothing(growth));
        let ([byte, segment, global, element, function, export, item], made_anew) = self.parts()?;
        Ok([
            lookup,
            open,
            page,
            growth,
            or_nothing(grown_page),
            resume,
            byte_in,
            byte_out,
            callback,
            close,
            register,
            register_byte,
            dearer(byte.0, byte.1),
            dearer(segment.0, segment.1),
            dearer(global.0, global.1),
            dearer(element.0, element.1),
            made_anew,
            function.1,
            export.1,
            item.1,
            touched,
        ])
    }
}

/// The one with the larger median.
fn dearer(a: Spread, b: Spread) -> Spread {
    if a.median < b.median { b } else { a }
}

/// Names and prices of today, in the order of the struct.
fn prices(costs: &SyncCosts) -> [(&'static str, u64); COSTS] {
    let SyncCosts {
        lookup,
        open,
        memory_page,
        memory_growth,
        grown_page,
        resume,
        byte_in,
        byte_out,
        callback,
        close,
        register,
        register_byte,
        instance,
    } = *costs;
    let InstanceCosts {
        data_byte,
        data_segment,
        global,
        table_element,
        made_anew,
        function,
        export,
        segment_item,
    } = instance;
    [
        ("lookup", lookup),
        ("open", open),
        ("memory_page", memory_page),
        ("memory_growth", memory_growth),
        ("grown_page", grown_page),
        ("resume", resume),
        ("byte_in", byte_in),
        ("byte_out", byte_out),
        ("callback", callback),
        ("close", close),
        ("register", register),
        ("register_byte", register_byte),
        ("data_byte", data_byte),
        ("data_segment", data_segment),
        ("global", global),
        ("table_element", table_element),
        ("made_anew", made_anew),
        ("function", function),
        ("export", export),
        ("segment_item", segment_item),
    ]
}

/// Gas for so many nanoseconds, rounded up to two digits.
fn gas(nanos: f64, machine_factor: f64) -> u64 {
    let exact = (nanos * GAS_PER_NANOSECOND * machine_factor * SAFETY_FACTOR).ceil() as u64;
    let mut unit = 1;
    while exact / unit >= 100 {
        unit *= 10;
    }
    exact.div_ceil(unit) * unit
}

/// The processor, as the kernel names it.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = model.map_or("an unnamed processor", |(_, name)| name.trim());
    format!("{name}, {}", std::env::consts::ARCH)
}

/// Time of near-vm-runner's soak over the time that its gas stands for.
fn soak_ratio(soak: &soak::Report) -> f64 {
    soak.nanos_near() / (soak.gas_vm as f64 / GAS_PER_NANOSECOND)
}

/// How much slower the machine is that NEAR's prices are for: as it comes out, and within its bounds.
pub fn machine_factor(soak: &soak::Report) -> (f64, f64) {
    let raw = 1.0 / SAFETY_FACTOR / soak_ratio(soak);
    (raw, raw.clamp(MACHINE_FACTOR.0, MACHINE_FACTOR.1))
}

/// Measures everything.
pub fn measure(runs: usize) -> Result<Report> {
    let soak = soak::measure(runs)?;
    let soak_ratio = soak_ratio(&soak);
    let (machine_factor_raw, machine_factor) = machine_factor(&soak);

    let text = |text: &str| wat::parse_str(text);
    let (parent, small, large) =
        (text(modules::PARENT)?, text(modules::SMALL)?, text(modules::LARGE)?);
    let (one, many) = (text(&modules::pages(1))?, text(&modules::pages(PAGES))?);
    let registers = text(&modules::registers())?;
    let (no_part, small_part) =
        (text(&modules::parts("global", 0))?, text(&modules::parts("global", 1))?);
    let parts = modules::PARTS.map(|(part, count)| {
        Ok::<_, anyhow::Error>((format!("many_{part}"), text(&modules::parts(part, count))?))
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
    let mut engines = Vec::new();
    for engine in EngineKind::ALL {
        eprintln!("{engine} ...");
        let mut all: Vec<(&str, cotenant_submodules::Visibility, &[u8])> = vec![
            ("", Public, &parent),
            ("small", Private, &small),
            ("large", Private, &large),
            ("one", Private, &one),
            ("many", Private, &many),
            ("registers", Private, &registers),
            ("no_part", Private, &no_part),
            ("small_part", Private, &small_part),
        ];
        all.extend(parts.iter().map(|(name, code)| (name.as_str(), Private, code.as_slice())));
        let world = World::new(&[engine], &all, HashMap::new())?;
        engines.push(Bench { world, engine, runs }.all()?);
    }
    let [cranelift, wasmi] = engines.as_slice() else { bail!("two engines") };
    let costs = prices(&SyncCosts::CURRENT).into_iter().enumerate().map(|(index, (name, now))| {
        let nanos = [cranelift[index], wasmi[index]];
        let (mut largest_nanos, mut largest_on) = (0.0, EngineKind::Cranelift.name());
        for (engine, spread) in EngineKind::ALL.into_iter().zip(&nanos) {
            if spread.median > largest_nanos {
                (largest_nanos, largest_on) = (spread.median, engine.name());
            }
        }
        let gas = gas(largest_nanos, machine_factor);
        Cost { name, nanos, largest_nanos, largest_on, gas, gas_now: now }
    });
    Ok(Report {
        costs: costs.collect(),
        touched_page_nanos: [cranelift, wasmi].map(|engine| engine[COSTS]),
        soak,
        soak_ratio,
        machine_factor_raw,
        machine_factor,
        safety_factor: SAFETY_FACTOR,
        machine: machine(),
        runs,
    })
}

impl Report {
    /// Where the numbers come from, line by line.
    fn provenance(&self) -> Vec<String> {
        vec![
            format!("{}; medians of {} runs.", self.machine, self.runs),
            format!(
                "near-vm-runner 0.38.0 takes {:.0} ns for soak at 10,000 loops, whose {} gas stand for \
                 {:.0} ns:",
                self.soak.nanos_near(),
                self.soak.gas_vm,
                self.soak.gas_vm as f64 / GAS_PER_NANOSECOND
            ),
            format!(
                "ratio {:.4}, machine factor (1/3) / ratio = {:.3}, kept in 1..=2: {:.3}.",
                self.soak_ratio, self.machine_factor_raw, self.machine_factor
            ),
            format!(
                "gas = largest over the engines of (ns x 1,000,000 x {:.3} x {SAFETY_FACTOR}), two digits, \
                 rounded up.",
                self.machine_factor
            ),
        ]
    }

    /// The block for `gas/src/sync_costs.rs`.
    pub fn block(&self) -> String {
        let mut text = String::from("impl SyncCosts {\n    /// The committed snapshot.\n    ///\n");
        for line in self.provenance() {
            text.push_str(&format!("    /// {line}\n"));
        }
        text.push_str("    pub const CURRENT: SyncCosts = SyncCosts {\n");
        for (index, cost) in self.costs.iter().enumerate() {
            let Cost { name, largest_nanos, largest_on, gas, .. } = cost;
            if index == INSTANCE_FROM {
                text.push_str("        instance: InstanceCosts {\n");
            }
            let indent = if index < INSTANCE_FROM { "        " } else { "            " };
            text.push_str(&format!("{indent}// {largest_nanos:.3} ns on {largest_on}.\n"));
            text.push_str(&format!("{indent}{name}: {},\n", grouped(*gas)));
        }
        text.push_str("        },\n    };\n}\n");
        text
    }

    /// The report for people.
    pub fn print(&self) {
        let mut rows = vec![table::row(["ns", "cranelift", "wasmi", "gas", "gas now"])];
        for cost in &self.costs {
            let mut row = vec![cost.name.to_owned()];
            row.extend(cost.nanos.iter().map(|spread| format!("{:.3}", spread.median)));
            row.extend([grouped(cost.gas), grouped(cost.gas_now)]);
            rows.push(row);
        }
        let mut touched = vec!["touched page, no price".to_owned()];
        touched
            .extend(self.touched_page_nanos.iter().map(|spread| format!("{:.3}", spread.median)));
        rows.push(touched);
        table::print(&rows);
        println!();
        for line in self.provenance() {
            println!("{line}");
        }
    }
}

/// A number with its thousands apart, as Rust writes it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
