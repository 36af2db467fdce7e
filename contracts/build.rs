//! Builds the guests: the packages of `guests/` with a cargo of their own, the text modules with `wat`.
//!
//! Everything lands below `OUT_DIR`, from where `src/lib.rs` takes the bytes. Nothing is written into the
//! repository, and what the outer cargo sets for its own compiler never reaches the inner one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const TARGET: &str = "wasm32-unknown-unknown";

/// Packages that share dependencies with guests that turn on `std` in them, and are built without: one run of
/// cargo has one set of features.
const WITHOUT_STD: [&str; 4] = ["engine", "engine-wasm-in-wasm", "evm-compiler", "evm-precompiles"];

/// Crates of the host's workspace that guests are made from.
const SHARED: [&str; 3] = ["contracts/engine-abi", "evm-to-wasm", "evm-to-wasm/parent"];

/// What an outer cargo, a clippy or a coverage run sets for the host's compiler, and what cargo tells this
/// script about its own package. A guest built with it would differ from the same guest built without.
const FOREIGN_VARIABLES: [&str; 6] =
    ["CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUST_LOG"];
const FOREIGN_PREFIXES: [&str; 7] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC_WORKSPACE_",
    "RUSTC_WRAPPER",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // One line, and no backtrace around it: it says what to do.
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    build_text_modules(&here.join("wat"), &out)?;
    write_list_of_hostile_modules(&here.join("hostile"), &out)?;
    watch_sources(&here.join("guests"))?;
    for folder in SHARED {
        let folder = repository(&here)?.join(folder);
        println!("cargo::rerun-if-changed={}", folder.join("Cargo.toml").display());
        println!("cargo::rerun-if-changed={}", folder.join("src").display());
    }
    ensure_target()?;
    build_packages(&here.join("guests"), repository(&here)?, &out)
}

/// Names the sources of the guests to cargo: files, and source folders as a whole. The folder of the workspace
/// is not named as a whole, because a cargo started there by hand leaves its products in it.
fn watch_sources(folder: &Path) -> Result<(), String> {
    for path in entries(folder)? {
        let is_package = path.join("Cargo.toml").is_file();
        let is_source = path.is_file() || path.ends_with("src") || path.ends_with("examples");
        if is_package {
            watch_sources(&path)?;
        } else if is_source {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Ok(())
}

/// Adds the target of the guests where it is missing: a toolchain that `rust-toolchain.toml` did not install
/// has the host's alone.
fn ensure_target() -> Result<(), String> {
    if target_is_installed()? {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) && target_is_installed()? {
        return Ok(());
    }
    Err(format!("the guests need the target {TARGET}; run: rustup target add {TARGET}"))
}

fn target_is_installed() -> Result<bool, String> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    Ok(output.status.success()
        && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// The folder of the whole project, of which `contracts` is a package.
fn repository(contracts: &Path) -> Result<&Path, String> {
    contracts.parent().ok_or_else(|| format!("{} is in no folder", contracts.display()))
}

fn build_packages(guests: &Path, repository: &Path, out: &Path) -> Result<(), String> {
    let target = out.join("guests");
    let except = WITHOUT_STD.map(|name| ["--exclude", name]);
    let others = [["--workspace"].as_slice(), except.as_flattened()].concat();
    run_cargo(guests, repository, &target, &others)?;
    let packages = WITHOUT_STD.map(|name| ["--package", name]);
    run_cargo(guests, repository, &target, packages.as_flattened())?;
    let built = target.join(TARGET).join("release");
    for folder in [built.clone(), built.join("examples")] {
        for path in entries(&folder)? {
            // Cargo keeps a second copy of an example under its hash.
            let is_hashed =
                path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains('-'));
            if path.extension().is_some_and(|extension| extension == "wasm") && !is_hashed {
                copy_into(&path, out)?;
            }
        }
    }
    Ok(())
}

fn run_cargo(
    guests: &Path,
    repository: &Path,
    target: &Path,
    packages: &[&str],
) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(guests)
        .args(["build", "--release", "--locked", "--lib", "--examples", "--target", TARGET])
        .args(packages)
        .arg("--target-dir")
        .arg(target);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if FOREIGN_VARIABLES.contains(&&*name)
            || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            cargo.env_remove(&*name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(guests, repository));
    // Output of a build script is shown when it fails, stderr in full.
    let output =
        cargo.output().map_err(|error| format!("cannot run cargo for the guests: {error}"))?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return Err("the guests do not build; cargo's output is above".to_string());
    }
    Ok(())
}

/// Flags of every guest.
///
/// `near`: the `cfg` that near-sdk's own build tool sets; without it its panics have no message. `strip`: cargo
/// forgets the profile's for packages whose profile has an override. The rest: panics name their file, and
/// a contract would hold the paths of the machine that built it, and its length, for which gas is paid, would
/// be another on every machine.
fn flags(guests: &Path, repository: &Path) -> String {
    let mut flags = vec![
        "--cfg=near".to_owned(),
        "-Cstrip=symbols".to_owned(),
        // The last prefix that fits is taken.
        format!("--remap-path-prefix={}=cotenant", repository.display()),
        format!("--remap-path-prefix={}=guests", guests.display()),
    ];
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = cargo_home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))) {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    // The separator that cargo asks for.
    flags.join("\x1f")
}

fn build_text_modules(folder: &Path, out: &Path) -> Result<(), String> {
    for path in text_modules(folder)? {
        let name = stem(&path)?;
        write(&out.join(format!("{name}.wasm")), &parse(&path)?)?;
    }
    Ok(())
}

/// A list of every text module with its source, in which its first lines say what is expected of it.
fn write_list_of_hostile_modules(folder: &Path, out: &Path) -> Result<(), String> {
    let target = out.join("hostile");
    fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    let mut list = String::from("&[\n");
    for path in text_modules(folder)? {
        let name = stem(&path)?;
        let binary = target.join(format!("{name}.wasm"));
        write(&binary, &parse(&path)?)?;
        list.push_str(&format!(
            "    ({name:?}, include_str!({path:?}), include_bytes!({binary:?})),\n"
        ));
    }
    list.push_str("]\n");
    write(&out.join("hostile.rs"), list.as_bytes())
}

fn text_modules(folder: &Path) -> Result<Vec<PathBuf>, String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut modules = entries(folder)?;
    modules.retain(|path| path.extension().is_some_and(|extension| extension == "wat"));
    Ok(modules)
}

fn parse(path: &Path) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    wat::parse_file(path).map_err(|error| error.to_string().replace('\n', " "))
}

/// The entries of a folder in one order on every machine.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = |error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(shown)? {
        paths.push(entry.map_err(shown)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> Result<&str, String> {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or_else(|| format!("{}: no name", path.display()))
}

fn copy_into(path: &Path, folder: &Path) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    write(&folder.join(format!("{}.wasm", stem(path)?)), &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo has not set {name}"))
}
