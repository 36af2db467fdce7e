//! From bytes to code that can be called: `bytes -> valid -> metered -> translated -> loaded`, all of it at deploy. Each
//! stage is a type with one constructor that takes the stage before. Native code comes later and decides nothing
//! ([`crate::registry`]; `docs/spec/calls.md`, section 2).

use crate::HostFault;
use crate::artifact::{AuthenticArtifact, Facts};
use crate::engine::{Engine, EngineKind, InterpreterEngine, Module, ModuleFacts, Shape};
use crate::view::ModuleRecord;
use cotenant_gas::{
    InstanceParts, MemoryPolicy, MeterError, MeterOptions, MeteredModule, Schedule,
};
use cotenant_submodules::table::HostFunction;
use cotenant_submodules::validate::{Rejection, ValidModule};
use cotenant_submodules::{Grants, Visibility};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A module that is loaded on one engine and ready to be called.
pub struct Code {
    /// The engine that it is loaded on: the tier that really runs it.
    pub engine: EngineKind,
    /// Public or private.
    pub visibility: Visibility,
    /// What it requires when private.
    pub requires: Grants,
    /// Exported functions, and whether each can be called as a method.
    pub functions: BTreeMap<String, bool>,
    /// Whether there is a start function.
    pub has_start: bool,
    /// Pages it starts with.
    pub initial_pages: u32,
    /// Pages it can grow to.
    pub max_pages: u32,
    /// What an instance is made of, as prices count it.
    pub parts: InstanceParts,
    /// Length of the deployed code, in bytes.
    pub code_bytes: u64,
    /// The loaded module.
    pub module: Arc<dyn Module>,
}

/// Where a call finds code that was deployed before.
pub trait ModuleSource {
    /// Returns the code of a module on the best tier up to `engine` that is ready.
    ///
    /// # Errors
    /// There is no such engine here, or the code is not to be had.
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault>;

    /// Takes note that the native code of a module gave up, for a reason that will come again: it is not used any more.
    fn retire(&self, record: &ModuleRecord, reason: &str) {
        let _ = (record, reason);
    }
}

/// Why code may not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// It breaks rules.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It cannot be metered.
    #[error("meter: {0}; hint: rebuild it with a stable compiler, or report it with the module")]
    Meter(#[from] MeterError),
    /// The interpreter cannot translate what is valid. Its limits are counts (`docs/spec/calls.md`, section 2), so this is
    /// what they do not foresee; the interpreter's version is part of the rules, so every host says the same.
    #[error(
        "translation for the interpreter: {message}; hint: split large functions, or report it with the module"
    )]
    Translation {
        /// What it says.
        message: String,
    },
    /// Refused a moment ago, with this report.
    #[error("{0}")]
    Known(String),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

/// Meters a valid module as its kind wants it: a public one as NEAR does, a private one as it declares.
///
/// # Errors
/// See [`MeterError`].
pub fn meter(module: &ValidModule, schedule: &Schedule) -> Result<MeteredModule, MeterError> {
    let private = module.visibility == Visibility::Private;
    let memory = if private { MemoryPolicy::Declared } else { MemoryPolicy::Near };
    let options = MeterOptions { config: &schedule.vm, memory, private_features: private };
    MeteredModule::meter(module.code(), &options)
}

pub(crate) fn facts(module: &ValidModule, metered: &MeteredModule) -> Facts {
    let data = metered.reset.data.iter().filter_map(|segment| {
        Some((segment.offset, metered.code.get(segment.range.clone())?.to_vec()))
    });
    Facts {
        visibility: module.visibility,
        requires: module.requirements.grants,
        imports: metered.imports.iter().map(|import| import.name.clone()).collect(),
        functions: metered.functions.clone(),
        has_start: metered.has_start,
        initial_pages: metered.initial_pages,
        max_pages: metered.max_pages,
        grows_memory: metered.reset.grows_memory,
        writes_tables: metered.reset.writes_tables,
        drops_segments: metered.reset.drops_segments,
        shape: metered.shape.into(),
        data: data.collect(),
        code_bytes: module.code().len() as u64,
    }
}

fn module_facts(facts: &Facts) -> Result<ModuleFacts, HostFault> {
    let imports = facts.imports.iter().map(|name| {
        HostFunction::by_name(name)
            .map(|row| row.id)
            .ok_or_else(|| HostFault::Artifact(format!("imports `{name}`, which no table has")))
    });
    Ok(ModuleFacts {
        imports: imports.collect::<Result<_, _>>()?,
        initial_pages: facts.initial_pages,
        grows_memory: facts.grows_memory,
        writes_tables: facts.writes_tables,
        drops_segments: facts.drops_segments,
        shape: facts.shape,
        data: facts.data.clone(),
    })
}

fn parts(facts: &Facts) -> InstanceParts {
    let Shape { functions, globals, table_elements, segment_items, exports } = facts.shape;
    InstanceParts {
        data_bytes: facts.data.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        data_segments: facts.data.len() as u64,
        globals: globals.into(),
        table_elements,
        functions: functions.into(),
        exports: exports.into(),
        segment_items,
        drops_segments: facts.drops_segments,
    }
}

fn code(facts: &Facts, engine: EngineKind, module: Arc<dyn Module>) -> Code {
    Code {
        engine,
        visibility: facts.visibility,
        requires: facts.requires,
        functions: facts.functions.clone(),
        has_start: facts.has_start,
        initial_pages: facts.initial_pages,
        max_pages: facts.max_pages,
        parts: parts(facts),
        code_bytes: facts.code_bytes,
        module,
    }
}

/// Loads an artifact.
///
/// # Errors
/// The engine cannot, which no module that a deploy accepted can bring about.
pub(crate) fn load(engine: &dyn Engine, artifact: &AuthenticArtifact) -> Result<Code, HostFault> {
    let facts = artifact.facts();
    let module = engine.load(artifact, Arc::new(module_facts(facts)?))?;
    Ok(code(facts, engine.kind(), module))
}

/// Loads a metered module on the interpreter, which translates all of it: the last stage that may refuse code.
pub(crate) fn load_eagerly(
    interpreter: &InterpreterEngine,
    artifact: &AuthenticArtifact,
) -> Result<Code, DeployError> {
    let facts = artifact.facts();
    let module = interpreter.load_eagerly(artifact, Arc::new(module_facts(facts)?));
    let module = module.map_err(|message| DeployError::Translation { message })?;
    Ok(code(facts, interpreter.kind(), module))
}
