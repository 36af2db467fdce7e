//! From bytes to code that can be called: `bytes -> valid -> metered -> compiled -> stored`, all of it at
//! deploy. Each stage is a type with one constructor that takes the stage before. A call only loads
//! (`docs/spec/calls.md`, section 2).

use crate::HostFault;
use crate::artifact::{Artifact, ArtifactKey, ArtifactStore, Facts};
use crate::engine::{Engine, EngineKind, InterpreterEngine, Module, ModuleFacts, NativeEngine};
use crate::view::ModuleRecord;
use cotenant_gas::{MemoryPolicy, MeterError, MeterOptions, MeteredModule, Schedule};
use cotenant_submodules::table::HostFunction;
use cotenant_submodules::validate::{Rejection, ValidModule, validate};
use cotenant_submodules::{Grants, Visibility};
use near_primitives_core::hash::{CryptoHash, hash};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A module that is loaded on one engine and ready to be called.
pub struct Code {
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
    /// Length of the deployed code, in bytes.
    pub code_bytes: u64,
    /// The loaded module.
    pub module: Arc<dyn Module>,
}

/// Where a call finds code that was deployed before.
pub trait ModuleSource {
    /// The code of a module on an engine.
    ///
    /// # Errors
    /// When it was not prepared for that engine, or its artifact is not ours.
    fn code(&self, record: &ModuleRecord, engine: EngineKind) -> Result<Arc<Code>, HostFault>;
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
    /// A compiler refuses what is valid.
    #[error("compiler of engine {engine}: {message}; hint: split large functions, or report it")]
    Compiler {
        /// Which engine.
        engine: EngineKind,
        /// What it says.
        message: String,
    },
    /// The host failed.
    #[error(transparent)]
    Host(#[from] HostFault),
}

/// Compiles at deploy and hands out what was compiled.
pub struct Registry {
    schedule: Arc<Schedule>,
    fingerprint: [u8; 32],
    engines: Vec<Box<dyn Engine>>,
    artifacts: Box<dyn ArtifactStore>,
    loaded: Mutex<HashMap<ArtifactKey, Arc<Code>>>,
    /// Keys by code, kind and engine, so that a call computes none.
    keys: Mutex<HashMap<(CryptoHash, Visibility, EngineKind), ArtifactKey>>,
}

/// The engine of a kind.
pub fn engine(kind: EngineKind) -> Box<dyn Engine> {
    match NativeEngine::new(kind) {
        Some(native) => Box::new(native),
        None => Box::new(InterpreterEngine::new()),
    }
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

fn facts(module: &ValidModule, metered: &MeteredModule) -> Facts {
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
        grows_memory: metered.reset.grows_memory,
        writes_tables: metered.reset.writes_tables,
        drops_segments: metered.reset.drops_segments,
        shape: metered.shape.into(),
        data: data.collect(),
        code_bytes: module.code().len() as u64,
    }
}

impl Registry {
    /// A registry for some engines; the first is the default.
    pub fn new(
        schedule: Arc<Schedule>,
        kinds: &[EngineKind],
        artifacts: Box<dyn ArtifactStore>,
    ) -> Self {
        Self {
            fingerprint: schedule.fingerprint(),
            schedule,
            engines: kinds.iter().map(|kind| engine(*kind)).collect(),
            artifacts,
            loaded: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// The engines that deploys prepare.
    pub fn engines(&self) -> Vec<EngineKind> {
        self.engines.iter().map(|engine| engine.kind()).collect()
    }

    /// Takes code through all stages, for every engine. Code that went through before costs a look.
    ///
    /// # Errors
    /// Every rule that it breaks, or what a later stage has against it. Nothing is then half-deployed.
    pub fn deploy(&self, code: &[u8], visibility: Visibility) -> Result<ModuleRecord, DeployError> {
        let code_hash = hash(code);
        let record = ModuleRecord { code_hash, visibility, code_bytes: code.len() as u64 };
        if self.engines.iter().all(|engine| {
            let key = self.key(&record, engine.as_ref());
            self.loaded.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key)
        }) {
            return Ok(record);
        }
        let valid = validate(code, visibility, &self.schedule.vm)?;
        let metered = meter(&valid, &self.schedule)?;
        let facts = facts(&valid, &metered);
        for engine in &self.engines {
            let key = self.key(&record, engine.as_ref());
            let artifact = match self.artifacts.artifact(&key)? {
                Some(artifact) => artifact,
                None => {
                    let native = compile(engine.as_ref(), &metered)?;
                    let artifact = Artifact { facts: facts.clone(), native };
                    self.artifacts.put(&key, &artifact)?;
                    artifact
                }
            };
            let code = load(engine.as_ref(), &artifact)?;
            self.loaded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_insert_with(|| Arc::new(code));
        }
        Ok(record)
    }

    /// Whether a module is compiled for every engine, and authentic.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prepared(&self, record: &ModuleRecord) -> Result<bool, HostFault> {
        for engine in &self.engines {
            if self.artifacts.artifact(&self.key(record, engine.as_ref()))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn key(&self, record: &ModuleRecord, engine: &dyn Engine) -> ArtifactKey {
        let name = (record.code_hash, record.visibility, engine.kind());
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| {
            ArtifactKey::new(&record.code_hash, record.visibility, &self.fingerprint, engine)
        })
    }
}

/// A compiler that panics fails the deploy, not the host.
fn compile(engine: &dyn Engine, metered: &MeteredModule) -> Result<Vec<u8>, DeployError> {
    let compiled =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.compile(metered)));
    let message = match compiled {
        Ok(Ok(native)) => return Ok(native),
        Ok(Err(message)) => message,
        Err(_) => "the compiler panicked".to_owned(),
    };
    Err(DeployError::Compiler { engine: engine.kind(), message })
}

fn load(engine: &dyn Engine, artifact: &Artifact) -> Result<Code, HostFault> {
    let facts = &artifact.facts;
    let imports = facts.imports.iter().map(|name| {
        HostFunction::by_name(name)
            .map(|row| row.id)
            .ok_or_else(|| HostFault::Artifact(format!("imports `{name}`, which no table has")))
    });
    let module_facts = ModuleFacts {
        imports: imports.collect::<Result<_, _>>()?,
        initial_pages: facts.initial_pages,
        grows_memory: facts.grows_memory,
        writes_tables: facts.writes_tables,
        drops_segments: facts.drops_segments,
        shape: facts.shape,
        data: facts.data.clone(),
    };
    Ok(Code {
        visibility: facts.visibility,
        requires: facts.requires,
        functions: facts.functions.clone(),
        has_start: facts.has_start,
        initial_pages: facts.initial_pages,
        code_bytes: facts.code_bytes,
        module: engine.load(&artifact.native, Arc::new(module_facts))?,
    })
}

impl ModuleSource for Registry {
    fn code(&self, record: &ModuleRecord, kind: EngineKind) -> Result<Arc<Code>, HostFault> {
        let Some(engine) = self.engines.iter().find(|engine| engine.kind() == kind) else {
            let engines = crate::artifact::describe(&self.engines());
            return Err(HostFault::Artifact(format!(
                "no engine {kind} in this home: it has {engines}"
            )));
        };
        let key = self.key(record, engine.as_ref());
        if let Some(code) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(code.clone());
        }
        let Some(artifact) = self.artifacts.artifact(&key)? else {
            return Err(HostFault::Artifact(format!(
                "code {} is not prepared for engine {kind}: it was compiled by another version or \
                 machine, or its artifact was changed; deploy it again or open the home anew",
                record.code_hash
            )));
        };
        let code = Arc::new(load(engine.as_ref(), &artifact)?);
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(key, code.clone());
        Ok(code)
    }
}
