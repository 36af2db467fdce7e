//! node, npm and Python: what of them is here, and a folder below the target folder with the compilers they fetch.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/evm");
const VYPER: &str = "0.4.3";

/// The sources beside the compilers that npm fetched.
pub struct Tools {
    folder: PathBuf,
    /// Keeps other test programs out of the folder.
    _lock: File,
}

/// The compilers, fetched once; or why there are none.
pub fn tools() -> &'static Result<Tools, String> {
    static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();
    TOOLS.get_or_init(fetch)
}

fn fetch() -> Result<Tools, String> {
    run(Command::new("node").arg("--version"))?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evm-compilers");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let lists = fs::read(Path::new(SOURCES).join("package-lock.json")).unwrap();
    copy(Path::new(SOURCES), &folder);
    let complete = folder.join("complete");
    if fs::read(&complete).ok().as_deref() != Some(&lists) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        run(&mut npm).map_err(|reason| format!("npm cannot fetch the compilers: {reason}"))?;
        fs::write(&complete, &lists).unwrap();
    }
    Ok(Tools { folder, _lock: lock })
}

/// Copies what this repository has of the folder: all but what npm makes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.ends_with("node_modules") {
            continue;
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

impl Tools {
    /// Runs the build script; gives what it prints.
    pub fn build(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let mut node = Command::new("node");
        node.arg("build.js").args(arguments).current_dir(&self.folder);
        run(&mut node).map(|output| output.stdout)
    }

    /// The corpus by every compiler, as `build.js` prints it; kept until a source changes.
    pub fn corpus(&self) -> Vec<u8> {
        let vyper = self.vyper();
        if let Err(reason) = &vyper {
            eprintln!("no Vyper in the corpus: {reason}");
        }
        let (kept, of) = (self.folder.join("corpus.json"), self.folder.join("corpus.of"));
        let sources = format!("{}vyper: {}", sources(Path::new(SOURCES)), vyper.is_ok());
        if fs::read_to_string(&of).ok().as_deref() == Some(&sources)
            && let Ok(kept) = fs::read(&kept)
        {
            return kept;
        }
        let mut arguments = vec!["--corpus"];
        arguments.extend(vyper.as_deref().ok());
        let corpus = self.build(&arguments).unwrap();
        fs::write(kept, &corpus).unwrap();
        fs::write(of, sources).unwrap();
        corpus
    }

    /// The command of the Vyper compiler, installed once.
    fn vyper(&self) -> Result<String, String> {
        let environment = self.folder.join(format!("vyper-{VYPER}"));
        let command = environment.join("bin").join("vyper");
        if !command.is_file() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let mut pip = Command::new(environment.join("bin").join("pip"));
            run(pip.args(["install", "--quiet", &format!("vyper=={VYPER}")]))?;
        }
        Ok(command.to_string_lossy().into_owned())
    }
}

/// Everything that the corpus depends on, in one text.
fn sources(folder: &Path) -> String {
    let mut paths: Vec<_> = ["src", "corpus"]
        .iter()
        .flat_map(|name| fs::read_dir(folder.join(name)).unwrap())
        .collect();
    paths.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let mut text: String =
        paths.into_iter().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    for name in ["build.js", "package.json"] {
        text += &fs::read_to_string(folder.join(name)).unwrap();
    }
    text
}

fn run(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(output),
        Ok(output) => {
            Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{name} is not there")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
