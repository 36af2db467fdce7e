//! Imports against the table of host functions.

use wasmparser::{FuncType, Import, TypeRef, ValType};

use super::super::rules::{self, Rule};
use super::super::violation::{Place, shown};
use super::Walk;
use crate::Visibility;
use crate::table::{Group, HOST_FUNCTIONS, HostFunction, Width};

/// Longest name for which a similar one is looked for.
const SIMILAR_BYTES_MAX: usize = 64;

/// Names of a module for which a similar one is looked for.
const SIMILAR_MAX: u32 = 64;

impl<'a> Walk<'a> {
    pub(super) fn import(&mut self, import: Import<'a>, offset: usize) {
        let place = || Place::at("import", offset);
        let ty = match import.ty {
            TypeRef::Func(ty) => ty,
            TypeRef::Memory(_) => {
                self.totals.memories += 1;
                return self.import_of(rules::IMPORT_MEMORY, &import, "memory", place());
            }
            TypeRef::Table(table) => {
                self.tables.push(table.initial);
                return self.import_of(rules::IMPORT_KIND, &import, "table", place());
            }
            TypeRef::Global(_) => {
                return self.import_of(rules::IMPORT_KIND, &import, "global", place());
            }
            TypeRef::Tag(_) => return self.import_of(rules::IMPORT_KIND, &import, "tag", place()),
        };
        self.functions.push(ty);
        self.imported_functions += 1;
        if import.module != "env" {
            return self.import_of(rules::IMPORT_MODULE, &import, "function", place());
        }
        let name = shown(import.name);
        let Some(row) = HostFunction::by_name(import.name) else {
            let suggestions = &mut self.suggestions;
            let hint = || match similar(import.name, suggestions) {
                Some(row) => format!("did you mean `{}`? {}", row.name, rules::IMPORT_UNKNOWN.hint),
                None => rules::IMPORT_UNKNOWN.hint.to_owned(),
            };
            let limit = "a host function".to_owned();
            let found = format!("`env.{name}`");
            return self.faults.add_with_hint(rules::IMPORT_UNKNOWN, found, limit, place(), hint);
        };
        if !row.enabled(self.config) {
            let limit = "a host function of this protocol version".to_owned();
            self.faults.add(rules::IMPORT_DISABLED, format!("`env.{name}`"), limit, place());
        }
        if self.visibility == Visibility::Private && row.group == Group::PublicOnly {
            let limit = "functions that a private module may import".to_owned();
            self.faults.add(rules::IMPORT_PRIVATE, format!("`env.{name}`"), limit, place());
        }
        match self.types.get(ty as usize) {
            Some(Some(ty)) if !has_type_of(ty, row) => {
                let found = format!("`env.{name}` of type {}", written(ty.params(), ty.results()));
                let (params, results) = types_of(row);
                let limit = written(&params, &results);
                self.faults.add(rules::IMPORT_SIGNATURE, found, limit, place());
            }
            // A type that is not there is the validator's to report.
            _ => self.imports.push(row),
        }
    }

    fn import_of(&mut self, rule: Rule, import: &Import<'_>, kind: &str, place: Place) {
        let found = format!("{kind} `{}.{}`", shown(import.module), shown(import.name));
        self.faults.add(rule, found, "functions of module `env`".to_owned(), place);
    }
}

fn value_type(width: Width) -> ValType {
    match width {
        Width::U32 => ValType::I32,
        Width::U64 => ValType::I64,
    }
}

fn types_of(row: &HostFunction) -> (Vec<ValType>, Vec<ValType>) {
    let params = row.params.iter().map(|param| value_type(param.width)).collect();
    (params, row.result.map(value_type).into_iter().collect())
}

fn has_type_of(ty: &FuncType, row: &HostFunction) -> bool {
    let (params, results) = types_of(row);
    ty.params() == params && ty.results() == results
}

/// A signature as text; one of many values is cut.
fn written(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| {
        let names: Vec<_> = types.iter().take(16).map(ToString::to_string).collect();
        let rest = if types.len() > names.len() { ", ..." } else { "" };
        format!("({}{rest})", names.join(", "))
    };
    format!("{} -> {}", list(params), list(results))
}

/// The function whose name is nearest to one that does not exist, if it is near enough for a slip. `asked` counts how
/// often this was looked for: somebody who mistypes many names needs no more than the first of them.
fn similar(name: &str, asked: &mut u32) -> Option<&'static HostFunction> {
    if name.len() > SIMILAR_BYTES_MAX || *asked == SIMILAR_MAX {
        return None;
    }
    *asked += 1;
    let slip = 1 + name.len() / 6;
    let near = HOST_FUNCTIONS.iter().filter(|row| row.name.len().abs_diff(name.len()) <= slip);
    let near = near.map(|row| (distance(name.as_bytes(), row.name.as_bytes()), row));
    let (distance, row) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= slip).then_some(row)
}

/// Insertions, removals and replacements between two texts.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(from != to)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}
