//! `worst`: where time does not fit its price. Families of modules over host functions, instance shapes, growth, calls and
//! operators; what each takes for a Tgas on each engine, the worst first; a mutation mode that looks further.
//!
//! | file | says |
//! |---|---|
//! | `recipe.rs` | a module to measure: its shape, what it does once, what it does in a loop |
//! | `families.rs` | the recipes |
//! | `measure.rs` | nanoseconds and gas of a recipe, of a cold load, of a deploy |
//! | `mutate.rs` | the search |
//!
//! A sample is calls that burn at least [`Settings::sample_gas`] together, nothing but the execution on the clock: no
//! commits, no deploys. The clock is the thread's processor time. The gas is what the call burns in the VM and what its receipt and action cost to
//! execute, without which there is no root call; a call that ends because its gas is gone counts without. A call that an engine gives up counts with both of its runs. Times are multiplied by the machine
//! factor of `calibrate`: on the machine that NEAR's prices are for, a Tgas is a millisecond.

mod families;
mod measure;
mod mutate;
mod recipe;

use crate::{calibrate, soak, table};
use anyhow::Result;
use cotenant_host::engine::EngineKind;
use measure::{Sample, cold, deploys, warm};
use recipe::Recipe;
use serde::Serialize;
use std::time::{Duration, Instant};

/// What a Tgas may take, in milliseconds: cranelift and wasmi.
const AIMS: [f64; 2] = [3.0, 30.0];

/// Rows that are printed for people.
const SHOWN: usize = 40;

/// What is measured, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Gas that a sample burns at least.
    pub sample_gas: u64,
    /// Samples of each recipe; their median counts.
    pub samples: usize,
    /// Seconds to look further by mutation; 0 measures the families alone.
    pub mutate_seconds: u64,
    /// Seed of the mutations.
    pub seed: u64,
}

/// One recipe on one engine.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What kind of work.
    pub family: &'static str,
    /// Which.
    pub name: String,
    /// On which engine; `deploy` for deploys, which no engine runs.
    pub engine: &'static str,
    /// Corrected milliseconds a Tgas.
    pub millis_per_tgas: f64,
    /// Of the aim of its engine; the worst is first.
    pub of_aim: f64,
    /// Measured milliseconds of a sample, not corrected.
    pub millis: f64,
    /// Gas of a sample.
    pub gas: u64,
    /// Calls of a sample.
    pub calls: u64,
    /// Calls that the engine gave up.
    pub gave_up: u64,
    /// The modules, as text, of the first rows that are above their aim.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
}

/// The object that `worst --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    machine_factor: f64,
    machine_factor_raw: f64,
    aims_millis_per_tgas: [f64; 2],
    seed: u64,
    recipes: usize,
    /// What could not be measured, and why.
    passed_over: Vec<String>,
    mutations: u64,
    rows: Vec<Row>,
}

/// The rows as they are found.
struct Search {
    settings: Settings,
    factor: f64,
    rows: Vec<Row>,
    passed_over: Vec<String>,
}

impl Search {
    fn add(&mut self, recipe: &Recipe, family: &'static str, engine: EngineKind, sample: Sample) {
        let aim = AIMS[usize::from(engine == EngineKind::Wasmi)];
        let modules = || recipe.modules().into_iter().map(|module| module.text).collect();
        self.row(family, recipe.name.clone(), engine.name(), aim, sample, modules);
    }

    fn row(
        &mut self,
        family: &'static str,
        name: String,
        engine: &'static str,
        aim: f64,
        sample: Sample,
        modules: impl Fn() -> Vec<String>,
    ) {
        let millis = sample.nanos / 1e6;
        let millis_per_tgas = millis * self.factor / (sample.gas as f64 / 1e12);
        let of_aim = millis_per_tgas / aim;
        let modules = if of_aim > 1.0 { modules() } else { Vec::new() };
        let Sample { gas, calls, gave_up, .. } = sample;
        self.rows.push(Row {
            family,
            name,
            engine,
            millis_per_tgas,
            of_aim,
            millis,
            gas,
            calls,
            gave_up,
            modules,
        });
    }

    /// Measures a recipe on both engines; returns the worst of them, as a part of its aim.
    fn measure(&mut self, recipe: &Recipe) -> f64 {
        let mut worst = 0.0_f64;
        match warm(recipe, &self.settings) {
            Ok(samples) => {
                for (engine, sample) in samples {
                    self.add(recipe, recipe.family, engine, sample);
                    worst = worst.max(self.rows.last().map_or(0.0, |row| row.of_aim));
                }
            }
            Err(error) => {
                self.passed_over.push(format!("{} {}: {error:#}", recipe.family, recipe.name))
            }
        }
        worst
    }
}

/// Measures the families, then looks further for as long as the settings say.
pub fn measure(settings: Settings) -> Result<Report> {
    let soak = soak::measure(15)?;
    let (machine_factor_raw, machine_factor) = calibrate::machine_factor(&soak);
    let mut search =
        Search { settings, factor: machine_factor, rows: Vec::new(), passed_over: Vec::new() };
    let recipes = families::all();
    for (index, recipe) in recipes.iter().enumerate() {
        if index.is_multiple_of(100) {
            eprintln!("{index} of {} recipes", recipes.len());
        }
        search.measure(recipe);
    }
    for recipe in recipes.iter().filter(|recipe| recipe.family == "shapes") {
        match cold(recipe, &settings) {
            Ok(samples) => {
                for (engine, sample) in samples {
                    search.add(recipe, "cold loads", engine, sample);
                }
            }
            Err(error) => {
                search.passed_over.push(format!("cold load of {}: {error:#}", recipe.name))
            }
        }
    }
    for (name, sample) in deploys(&recipes, &settings)? {
        search.row("deploys", name, "deploy", AIMS[1], sample, Vec::new);
    }
    let mut mutations = 0;
    if settings.mutate_seconds > 0 {
        let until = Instant::now() + Duration::from_secs(settings.mutate_seconds);
        mutations = mutate::search(&mut search, &recipes, until);
    }
    search.rows.sort_by(|a, b| b.of_aim.total_cmp(&a.of_aim));
    for row in search.rows.iter_mut().skip(SHOWN) {
        row.modules.clear();
    }
    Ok(Report {
        machine_factor,
        machine_factor_raw,
        aims_millis_per_tgas: AIMS,
        seed: settings.seed,
        recipes: recipes.len(),
        passed_over: search.passed_over,
        mutations,
        rows: search.rows,
    })
}

impl Report {
    /// The report for people.
    pub fn print(&self) {
        let head = ["family, recipe", "engine", "ms a Tgas", "of the aim", "ms", "Tgas", "gave up"];
        let mut rows = vec![table::row(head)];
        for row in self.rows.iter().take(SHOWN) {
            rows.push(vec![
                format!("{}: {}", row.family, row.name),
                row.engine.to_owned(),
                format!("{:.3}", row.millis_per_tgas),
                format!("{:.2}", row.of_aim),
                format!("{:.1}", row.millis),
                format!("{:.2}", row.gas as f64 / 1e12),
                row.gave_up.to_string(),
            ]);
        }
        table::print(&rows);
        println!();
        println!(
            "{} rows of {} recipes and {} mutations, seed {}",
            self.rows.len(),
            self.recipes,
            self.mutations,
            self.seed
        );
        println!(
            "machine factor {:.3} ({:.3} before its bounds); aims {} ms a Tgas on cranelift, {} on wasmi",
            self.machine_factor,
            self.machine_factor_raw,
            self.aims_millis_per_tgas[0],
            self.aims_millis_per_tgas[1]
        );
        for passed_over in &self.passed_over {
            println!("passed over: {passed_over}");
        }
        for row in self.rows.iter().filter(|row| row.of_aim > 1.0).take(5) {
            println!("\n{}: {} on {}", row.family, row.name, row.engine);
            for module in &row.modules {
                println!("{}", module.chars().take(4_000).collect::<String>());
            }
        }
    }
}
