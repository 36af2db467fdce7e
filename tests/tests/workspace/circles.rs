//! No circle of files within a crate: who uses whom is a tree of layers, so that a file can be read with what is below it alone.
//!
//! A file uses another one if it names something that is defined there, whichever `pub use` it comes through. That a file
//! uses what the file of its own folder defines (`super`) is no step up: a folder is a whole.

use crate::source::{Token, rust_files, tokens, without_tests};
use crate::{members, root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Circles that wait to be cut, by one of their files.
const KNOWN: &[&str] = &[
    "evm-to-wasm/parent: effects, serve",
    "evm-to-wasm: analysis, analysis/functions, dominators, flow, graph, routines",
    "evm-to-wasm: runtime/accounts, runtime/arithmetic, runtime/cache, runtime/calls, runtime/code, runtime/compact, runtime/copies, \
     runtime/division, runtime/effects, runtime/frame, runtime/keccak, runtime/memory, runtime/modular, runtime/shifts, \
     runtime/storage, runtime/table",
    "gas: meter/assemble, meter/body, meter/body/loops",
    "host: artifact, compile, compile/worker, engine, engine/native",
    "host: engine/arena, engine/pool",
    "host: engine/signal, engine/stack",
    "host: exec/external, exec/frame, exec/holdings, exec/root",
    "host: runtime/actions, runtime/apply",
    "host: runtime/history, state, state/scrub",
    "node: genesis, near",
    "submodules: validate/rules, validate/violation",
];

/// A path of modules from the root of a crate, or of a name in one.
type ModulePath = Vec<String>;

/// What a file defines, imports and names.
#[derive(Default)]
struct Module {
    defined: BTreeSet<String>,
    /// Imports by the name they have here.
    imported: BTreeMap<String, ModulePath>,
    /// Everything that is named, whether imported or in full.
    named: Vec<ModulePath>,
}

struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for folder in &members() {
        for circle in Crate::read(&root().join(folder).join("src")).circles() {
            let files: Vec<String> = circle.iter().map(|path| path.join("/")).collect();
            found.push(format!("{folder}: {}", files.join(", ")));
        }
    }
    let known: Vec<BTreeSet<&str>> = KNOWN.iter().map(|known| parts(known)).collect();
    // A circle that lost files has become better.
    let new = |circle: &&String| !known.iter().any(|known| parts(circle).is_subset(known));
    let new: Vec<&String> = found.iter().filter(new).collect();
    assert!(new.is_empty(), "{new:#?}");
}

fn parts(circle: &str) -> BTreeSet<&str> {
    circle.split([':', ',']).map(str::trim).collect()
}

impl Crate {
    fn read(src: &Path) -> Self {
        let mut sources = BTreeMap::new();
        for path in rust_files(src) {
            let name = path.strip_prefix(src).unwrap().with_extension("");
            let mut name: ModulePath = name
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            if name.last().is_some_and(|last| last == "mod") {
                name.pop();
            }
            if matches!(name.as_slice(), [only] if only == "lib" || only == "main") {
                name.clear();
            }
            if !name.iter().any(|part| part == "tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(name, without_tests(&tokens(&text)));
            }
        }
        let paths: BTreeSet<ModulePath> = sources.keys().cloned().collect();
        let modules =
            sources.iter().map(|(path, tokens)| (path.clone(), Module::of(path, tokens, &paths)));
        Self { modules: modules.collect() }
    }

    /// The file in which a name is defined that this path leads to.
    fn file_of(&self, path: &[String], hops: usize) -> Option<ModulePath> {
        let depth =
            (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let file = path[..depth].to_vec();
        let Some(name) = path.get(depth) else { return Some(file) };
        let module = &self.modules[&file];
        match module.imported.get(name) {
            Some(from) if !module.defined.contains(name) && hops < 8 => {
                self.file_of(&[from, &path[depth + 1..]].concat(), hops + 1)
            }
            _ => Some(file),
        }
    }

    fn used_by(&self, path: &ModulePath) -> BTreeSet<ModulePath> {
        let files = self.modules[path].named.iter().filter_map(|named| self.file_of(named, 0));
        files.filter(|file| !path.starts_with(file)).collect()
    }

    /// Sets of files each of which reaches every other one.
    fn circles(&self) -> Vec<Vec<ModulePath>> {
        let uses: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
            self.modules.keys().map(|path| (path, self.used_by(path))).collect();
        let reached = |from: &ModulePath| {
            let mut reached = BTreeSet::new();
            let mut waiting: Vec<&ModulePath> = uses[from].iter().collect();
            while let Some(path) = waiting.pop() {
                if reached.insert(path) {
                    waiting.extend(&uses[path]);
                }
            }
            reached
        };
        let reach: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
            self.modules.keys().map(|path| (path, reached(path))).collect();
        let mut circles = Vec::new();
        let mut told = BTreeSet::new();
        for path in self.modules.keys().filter(|path| reach[path].contains(path)) {
            if told.contains(path) {
                continue;
            }
            let circle = reach[path].iter().filter(|other| reach[**other].contains(path));
            let circle: Vec<ModulePath> = circle.map(|other| (*other).clone()).collect();
            told.extend(circle.iter().cloned());
            circles.push(circle);
        }
        circles
    }
}

impl Module {
    fn of(path: &ModulePath, tokens: &[Token], paths: &BTreeSet<ModulePath>) -> Self {
        let mut module = Module::default();
        let absolute = |named: &[String]| absolute(path, named, paths);
        let mut at = 0;
        while at < tokens.len() {
            let next = tokens.get(at + 1).map_or("", |token| token.text.as_str());
            match tokens[at].text.as_str() {
                "use" => {
                    let end = tokens[at..].iter().position(|token| token.text == ";");
                    let end = end.map_or(tokens.len(), |end| at + end);
                    let is_public = at > 0 && matches!(tokens[at - 1].text.as_str(), "pub" | ")");
                    for (name, named) in imports(&tokens[at + 1..end]) {
                        let Some(named) = absolute(&named) else { continue };
                        if !is_public {
                            module.named.push(named.clone());
                        }
                        module.imported.insert(name, named);
                    }
                    at = end;
                }
                "fn" | "struct" | "enum" | "trait" | "const" | "static" | "type" | "union" => {
                    module.defined.insert(next.to_owned());
                    at += 1;
                }
                _ if next == "::" => {
                    let mut named = vec![tokens[at].text.clone()];
                    while tokens.get(at + 1).is_some_and(|token| token.text == "::")
                        && at + 2 < tokens.len()
                    {
                        named.push(tokens[at + 2].text.clone());
                        at += 2;
                    }
                    module.named.extend(absolute(&named));
                    at += 1;
                }
                _ => at += 1,
            }
        }
        module
    }
}

/// A path from the root of the crate; `None` for what is of another crate, or no module.
fn absolute(
    from: &ModulePath,
    named: &[String],
    paths: &BTreeSet<ModulePath>,
) -> Option<ModulePath> {
    let (first, rest) = named.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([from, rest].concat()),
        "super" => {
            let ups = named.iter().take_while(|part| *part == "super").count();
            let base = &from[..from.len().checked_sub(ups)?];
            Some([base, &named[ups..]].concat())
        }
        child if paths.contains(&[from.as_slice(), &[child.to_owned()]].concat()) => {
            Some([from.as_slice(), named].concat())
        }
        _ => None,
    }
}

/// The paths of a `use`, with the name that each has afterwards.
fn imports(tokens: &[Token]) -> Vec<(String, ModulePath)> {
    let mut found = Vec::new();
    let mut prefixes: Vec<ModulePath> = vec![Vec::new()];
    let mut path: ModulePath = Vec::new();
    let mut renamed = None;
    let mut at = 0;
    let mut end = |path: &mut ModulePath, renamed: &mut Option<String>| {
        if let Some(last) = path.last() {
            let is_self = last == "self" && path.len() > 1;
            let named = if is_self { path[..path.len() - 1].to_vec() } else { path.clone() };
            let name = renamed.take().or_else(|| named.last().cloned()).unwrap_or_default();
            found.push((name, named));
        }
        path.clear();
    };
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "::" => {}
            "{" => prefixes.push(std::mem::take(&mut path)),
            "," | "}" => {
                end(&mut path, &mut renamed);
                if tokens[at].text == "}" {
                    prefixes.pop();
                }
            }
            "as" => {
                renamed = tokens.get(at + 1).map(|token| token.text.clone());
                at += 1;
            }
            word => {
                if path.is_empty() {
                    path = prefixes.last().cloned().unwrap_or_default();
                }
                path.push(word.to_owned());
            }
        }
        at += 1;
    }
    end(&mut path, &mut renamed);
    found
}

#[test]
fn a_circle_is_found_through_names_that_are_exported_again() {
    let sources = [
        ("", "mod a; mod b; mod c; pub use b::B;"),
        ("a", "use crate::B; pub struct A;"),
        ("b", "use super::{a::{A}, c}; pub struct B;"),
        ("c", "pub fn f() {} #[cfg(test)] mod tests { use crate::a::A; }"),
    ];
    let path = |name: &str| -> ModulePath {
        name.split('/').filter(|part| !part.is_empty()).map(Into::into).collect()
    };
    let paths: BTreeSet<ModulePath> = sources.iter().map(|(name, _)| path(name)).collect();
    let modules = sources.iter().map(|(name, text)| {
        let tokens = without_tests(&tokens(text));
        (path(name), Module::of(&path(name), &tokens, &paths))
    });
    let found = Crate { modules: modules.collect() }.circles();
    assert_eq!(found, [[path("a"), path("b")]]);
}
