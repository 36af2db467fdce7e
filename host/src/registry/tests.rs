//! Tiers, their order, and what becomes of artifacts.

use super::store::INDEX;
use super::*;
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// The state of a host: code by hash.
#[derive(Clone, Default)]
struct Codes(Arc<Mutex<HashMap<CryptoHash, Vec<u8>>>>);

impl CodeSource for Codes {
    fn code(&self, hash: &CryptoHash) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(self.0.lock().unwrap().get(hash).cloned())
    }

    fn in_use(&self, hash: &CryptoHash) -> Result<bool, HostFault> {
        Ok(self.0.lock().unwrap().contains_key(hash))
    }
}

/// A home: a folder of artifacts and a state, which outlive the registries that open them.
struct Home {
    folder: tempfile::TempDir,
    codes: Codes,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), codes: Codes::default() }
    }

    fn open(&self, compile: Compile) -> Registry {
        self.open_with(RegistryOptions { compile, ..options() })
    }

    fn open_with(&self, options: RegistryOptions) -> Registry {
        let schedule = Schedule::for_protocol(88).unwrap();
        let artifacts = DiskArtifacts::open(self.folder.path()).unwrap();
        Registry::open(schedule, options, artifacts, Box::new(self.codes.clone()))
    }

    /// Deploys a module and commits it.
    fn deploy(&self, registry: &Registry, number: u32) -> ModuleRecord {
        let code = module(number);
        let record = registry.deploy(&code, Visibility::Private).unwrap();
        self.codes.0.lock().unwrap().insert(record.code_hash, code);
        record
    }

    fn file(
        &self,
        registry: &Registry,
        record: &ModuleRecord,
        engine: EngineKind,
    ) -> std::path::PathBuf {
        let state = registry.shared.lock();
        self.folder.path().join(state.modules.slots[&key_of(record)].key(engine).hex())
    }
}

fn options() -> RegistryOptions {
    RegistryOptions { compile: Compile::Never, ..RegistryOptions::waiting(&EngineKind::ALL) }
}

fn module(number: u32) -> Vec<u8> {
    wat::parse_str(format!("(module (func (export \"run\") i32.const {number} drop))")).unwrap()
}

/// The engine that a call that wants native code runs on.
fn called_on(registry: &Registry, record: &ModuleRecord) -> EngineKind {
    registry.code(record, EngineKind::Cranelift).unwrap().engine
}

/// By how many bytes modules of one kind may differ.
const SLACK: u64 = 64;

const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_deploy_makes_callable_and_only_what_is_called_is_compiled() {
    let home = Home::new();
    let registry = home.open(Compile::Background);
    let (called, idle) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    assert_eq!(called_on(&registry, &called), EngineKind::Wasmi);
    assert!(registry.settle(LONG));
    assert_eq!(called_on(&registry, &called), EngineKind::Cranelift);
    assert_eq!(registry.status(&idle).reason.as_deref(), Some("not called yet"));
    let totals = registry.report().totals;
    assert_eq!((totals.hits, totals.misses, totals.compiled), (1, 1, 1));
    // Who wants the interpreter gets it whatever else is ready.
    assert_eq!(registry.code(&called, EngineKind::Wasmi).unwrap().engine, EngineKind::Wasmi);
}

#[test]
fn what_a_process_did_not_compile_is_compiled_by_the_next_in_order_of_use() {
    let home = Home::new();
    let registry = home.open(Compile::Never);
    let (called, idle) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    assert_eq!(called_on(&registry, &called), EngineKind::Wasmi);
    drop(registry);
    let registry = home.open(Compile::Background);
    assert!(registry.settle(LONG));
    assert_eq!(registry.status(&called).tier, EngineKind::Cranelift);
    assert_eq!(registry.status(&idle).tier, EngineKind::Wasmi);
    drop(registry);
    // And the one after finds it.
    let registry = home.open(Compile::Never);
    assert_eq!(called_on(&registry, &called), EngineKind::Cranelift);
}

#[test]
fn a_compile_that_fails_leaves_the_module_callable_and_is_not_tried_again_until_asked() {
    let home = Home::new();
    let failing = |compile| {
        let compiler = Compiler::Process {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), "echo 'no such luck' >&2; exit 1".into()],
            limits: crate::compile::CompileLimits::default(),
        };
        home.open_with(RegistryOptions { compile, compiler, ..options() })
    };
    let registry = failing(Compile::Background);
    let record = home.deploy(&registry, 1);
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    assert!(registry.settle(LONG));
    assert_eq!(registry.status(&record).reason.as_deref(), Some("no such luck"));
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    assert!(registry.settle(LONG));
    assert_eq!(registry.report().totals.failed, 1, "tried once");
    drop(registry);
    // The next process knows, even one whose compiler would take it.
    let registry = home.open(Compile::Background);
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    assert!(registry.settle(LONG));
    assert!(registry.status(&record).failed);
    assert_eq!(registry.compile(&record, false).unwrap(), Err("no such luck".to_owned()));
    assert_eq!(registry.compile(&record, true).unwrap(), Ok(()));
    assert_eq!(called_on(&registry, &record), EngineKind::Cranelift);
}

#[test]
fn what_gave_up_is_not_used_again() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let record = home.deploy(&registry, 1);
    let running = registry.code(&record, EngineKind::Cranelift).unwrap();
    registry.retire(&record, "its native frames are too large");
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    assert!(!home.file(&registry, &record, EngineKind::Cranelift).exists());
    assert_eq!(running.engine, EngineKind::Cranelift, "a call that runs keeps its code");
    drop(registry);
    let registry = home.open(Compile::Wait);
    home.deploy(&registry, 1);
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    let reason = registry.status(&record).reason.unwrap();
    assert!(reason.contains("gave up: its native frames"), "{reason}");
    assert_eq!(registry.compile(&record, true).unwrap(), Ok(()));
}

#[test]
fn a_damaged_artifact_is_counted_made_anew_and_never_run() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let record = home.deploy(&registry, 1);
    let files = [EngineKind::Cranelift, EngineKind::Wasmi]
        .map(|engine| home.file(&registry, &record, engine));
    drop(registry);
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let registry = home.open(Compile::Background);
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    // The thread that compiles may have met the same file.
    assert!(registry.report().totals.damaged >= 2);
    assert!(registry.settle(LONG));
    assert_eq!(called_on(&registry, &record), EngineKind::Cranelift);
    assert_eq!(registry.verify(), Verified { authentic: 2, damaged: 0, missing: 0 });
}

#[test]
fn every_artifact_is_verified_and_what_is_not_ours_goes() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let records = [home.deploy(&registry, 1), home.deploy(&registry, 2)];
    assert_eq!(registry.verify(), Verified { authentic: 4, damaged: 0, missing: 0 });
    let native = home.file(&registry, &records[0], EngineKind::Cranelift);
    std::fs::write(&native, b"anything").unwrap();
    std::fs::remove_file(home.file(&registry, &records[1], EngineKind::Wasmi)).unwrap();
    assert_eq!(registry.verify(), Verified { authentic: 2, damaged: 1, missing: 1 });
    assert!(!native.exists());
}

#[test]
fn opening_compiles_nothing_and_a_home_without_artifacts_runs_on_the_interpreter() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let record = home.deploy(&registry, 1);
    drop(registry);
    for entry in std::fs::read_dir(home.folder.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let registry = home.open(Compile::Background);
    assert_eq!(registry.report().totals.compiled, 0);
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    // A module that is neither kept nor in the state is the host's fault and not an outcome.
    let unknown = ModuleRecord { code_hash: hash(b"unknown"), ..record };
    assert!(registry.code(&unknown, EngineKind::Wasmi).is_err());
}

#[test]
fn an_artifact_that_was_made_anew_for_an_older_home_decides_no_deploy() {
    let home = Home::new();
    let registry = home.open(Compile::Never);
    let record = home.deploy(&registry, 1);
    registry.clear();
    assert_eq!(called_on(&registry, &record), EngineKind::Wasmi);
    let accepted = |registry: &Registry| {
        registry.shared.stored(&key_of(&record), EngineKind::Wasmi).unwrap().accepted()
    };
    assert!(!accepted(&registry));
    assert!(!registry.shared.accepted_before(&record));
    home.deploy(&registry, 1);
    assert!(accepted(&registry));
    drop(registry);
    let registry = home.open(Compile::Never);
    assert!(registry.shared.accepted_before(&record));
}

#[test]
fn what_no_module_uses_is_collected_and_what_is_about_to_be_used_is_not() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let (kept, gone) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    let file = |record| home.file(&registry, record, EngineKind::Cranelift);
    let (kept_file, gone_file) = (file(&kept), file(&gone));
    let foreign = home.folder.path().join("0".repeat(64));
    std::fs::write(&foreign, b"of another version").unwrap();
    // Not in the state yet: its transaction may be about to be committed.
    let uncommitted = registry.deploy(&module(3), Visibility::Private).unwrap();
    home.codes.0.lock().unwrap().remove(&gone.code_hash);
    assert_eq!(registry.collect().unwrap(), 1);
    assert!(!foreign.exists() && gone_file.exists());
    assert_eq!(called_on(&registry, &uncommitted), EngineKind::Cranelift);
    drop(registry);
    let registry = home.open(Compile::Never);
    assert_eq!(registry.collect().unwrap(), 4);
    assert!(kept_file.exists() && !gone_file.exists());
    assert_eq!(registry.report().modules.len(), 1);
}

#[test]
fn loaded_code_is_bounded_by_what_was_used_last_and_pins_stay() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let (pinned, old) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    registry.pin(&pinned, true);
    let loaded_bytes = registry.report().loaded_bytes + SLACK;
    drop(registry);
    let limits = CacheLimits { loaded_bytes, ..CacheLimits::default() };
    let registry = home.open_with(RegistryOptions { compile: Compile::Wait, limits, ..options() });
    for record in [&pinned, &old] {
        called_on(&registry, record);
        registry.code(record, EngineKind::Wasmi).unwrap();
    }
    home.deploy(&registry, 3);
    let report = registry.report();
    assert!(report.loaded_bytes <= loaded_bytes && report.totals.unloaded > 0, "{report:?}");
    let state = registry.shared.lock();
    let loaded = |record| state.modules.slots[&key_of(record)].loaded_bytes() > 0;
    assert!(loaded(&pinned) && !loaded(&old));
    drop(state);
    // What was unloaded is loaded again when it is called.
    assert_eq!(called_on(&registry, &old), EngineKind::Cranelift);
}

#[test]
fn the_disk_is_bounded_by_what_was_used_last_and_pins_stay() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let (pinned, old) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    registry.pin(&pinned, true);
    let stored_bytes = registry.report().stored_bytes + SLACK;
    drop(registry);
    let limits = CacheLimits { stored_bytes, ..CacheLimits::default() };
    let registry = home.open_with(RegistryOptions { compile: Compile::Wait, limits, ..options() });
    let new = home.deploy(&registry, 3);
    let report = registry.report();
    assert!(report.stored_bytes <= stored_bytes && report.totals.evicted == 1, "{report:?}");
    let exists = |record| home.file(&registry, record, EngineKind::Cranelift).exists();
    assert!(exists(&pinned) && exists(&new) && !exists(&old));
    assert_eq!(
        called_on(&registry, &old),
        EngineKind::Wasmi,
        "as long as it is not compiled again"
    );
}

#[test]
fn clearing_forgets_failures_and_frees_the_disk() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let (pinned, other) = (home.deploy(&registry, 1), home.deploy(&registry, 2));
    registry.pin(&pinned, true);
    registry.retire(&other, "a reason");
    assert!(registry.clear() > 0);
    assert!(!registry.status(&other).failed);
    assert_eq!(called_on(&registry, &pinned), EngineKind::Cranelift);
    assert_eq!(called_on(&registry, &other), EngineKind::Wasmi);
    assert!(registry.report().stored_bytes > 0, "the pinned module, and the stand-in made anew");
}

/// A disk that is full.
struct FullDisk;

impl ArtifactStore for FullDisk {
    fn put(&self, _: &str, _: &[&[u8]]) -> io::Result<u64> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn get(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Err(io::Error::other("the disk is gone"))
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_full_disk_fails_no_deploy_and_no_call() {
    let codes = Codes::default();
    let stored = Stored { store: Box::new(FullDisk), seal: Seal::new([1; 32]) };
    let schedule = Schedule::for_protocol(88).unwrap();
    let options = RegistryOptions {
        compile: Compile::Wait,
        // Nothing stays loaded either.
        limits: CacheLimits { loaded_bytes: 0, stored_bytes: 0 },
        ..options()
    };
    let registry = Registry::with(schedule, options, Some(stored), Some(Box::new(codes.clone())));
    let record = registry.deploy(&module(1), Visibility::Private).unwrap();
    codes.0.lock().unwrap().insert(record.code_hash, module(1));
    registry.deploy(&module(2), Visibility::Private).unwrap();
    assert_eq!(registry.code(&record, EngineKind::Wasmi).unwrap().engine, EngineKind::Wasmi);
    called_on(&registry, &record);
    assert_eq!(registry.collect().unwrap(), 0);
    assert!(registry.report().totals.disk_failures > 0);
}

#[test]
fn a_read_only_folder_fails_no_deploy() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let mode = |mode| {
        std::fs::set_permissions(home.folder.path(), PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(0o500);
    let record = home.deploy(&registry, 1);
    mode(0o700);
    assert_eq!(called_on(&registry, &record), EngineKind::Cranelift);
}

#[test]
fn what_was_refused_is_refused_alike_again() {
    let registry = Home::new().open(Compile::Never);
    let text = || registry.deploy(b"\0asm nonsense", Visibility::Public).unwrap_err().to_string();
    assert_eq!(text(), text());
    assert!(registry.deploy_in_receipt(b"\0asm nonsense", Visibility::Public).is_err());
}

#[test]
fn the_index_may_be_anything() {
    let home = Home::new();
    let registry = home.open(Compile::Wait);
    let record = home.deploy(&registry, 1);
    drop(registry);
    let index = home.folder.path().join(INDEX);
    let whole = std::fs::read(&index).unwrap();
    let cut = &whole[..whole.len() / 2];
    for bytes in [&b""[..], b"nonsense", cut, &[0xff; 4096]] {
        std::fs::write(&index, bytes).unwrap();
        let registry = home.open(Compile::Never);
        // Without an index the artifacts are found by their keys.
        assert_eq!(called_on(&registry, &record), EngineKind::Cranelift);
    }
}

#[test]
fn an_engine_that_a_registry_does_not_have_is_named() {
    let home = Home::new();
    let registry =
        home.open_with(RegistryOptions { engines: vec![EngineKind::Wasmi], ..options() });
    let record = home.deploy(&registry, 1);
    let error = registry.code(&record, EngineKind::Cranelift).err().unwrap().to_string();
    assert!(error.contains("no engine cranelift") && error.contains("wasmi"), "{error}");
    assert!(registry.compile(&record, true).is_err());
    assert!(Path::new(home.folder.path()).exists());
}
