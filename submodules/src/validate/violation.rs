//! What a rejection says.

use std::collections::BTreeMap;
use std::fmt;

use super::rules::{Rule, VIOLATIONS_MAX};

/// Characters of a guest's name or a parser's message that a violation shows.
const SHOWN_CHARS_MAX: usize = 120;

/// Why a module may not be deployed: every rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The violations in the order of the walk, at most [`VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub omitted: u64,
}

/// One rule that a module breaks. Its texts have no control characters, whatever the module contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Stable id of the rule, like `limits.locals`.
    pub rule: &'static str,
    /// What was found.
    pub found: String,
    /// What is allowed.
    pub limit: String,
    /// Where.
    pub place: Place,
    /// What to do.
    pub hint: String,
}

/// Where in a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The section, by its name in the specification of Wasm; `module` for the whole.
    pub section: &'static str,
    /// Index of the function, and its name if the module says it.
    pub function: Option<(u32, Option<String>)>,
    /// Bytes from the module's start.
    pub offset: Option<usize>,
}

impl Place {
    pub(super) fn section(section: &'static str) -> Self {
        Self { section, function: None, offset: None }
    }

    pub(super) fn at(section: &'static str, offset: usize) -> Self {
        Self { section, function: None, offset: Some(offset) }
    }

    pub(super) fn function(index: u32, offset: usize) -> Self {
        Self { section: "code", function: Some((index, None)), offset: Some(offset) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.section)?;
        if self.section != "module" {
            f.write_str(" section")?;
        }
        match &self.function {
            Some((index, Some(name))) => write!(f, ", function {index} `{name}`")?,
            Some((index, None)) => write!(f, ", function {index}")?,
            None => {}
        }
        self.offset.map_or(Ok(()), |offset| write!(f, ", byte {offset}"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, found, limit, place, hint } = self;
        write!(f, "{rule}: found {found}; allowed: {limit}; in {place}; hint: {hint}")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, violation) in self.violations.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{violation}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\nand {omitted} more"),
        }
    }
}

impl std::error::Error for Rejection {}

/// Text of a guest's, made fit to show: escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The violations found so far.
#[derive(Default)]
pub(super) struct Faults {
    found: Vec<(Rule, Violation)>,
    omitted: u64,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule, found: String, limit: String, place: Place) {
        self.add_with_hint(rule, found, limit, place, || rule.hint.to_owned());
    }

    pub(super) fn add_with_hint(
        &mut self,
        rule: Rule,
        found: String,
        limit: String,
        place: Place,
        hint: impl FnOnce() -> String,
    ) {
        // What is not shown is not worked out.
        if self.found.len() < VIOLATIONS_MAX {
            let hint = hint();
            self.found.push((rule, Violation { rule: rule.id, found, limit, place, hint }));
        } else {
            self.omitted += 1;
        }
    }

    /// Adds a violation if `found` is over `limit`; no limit is no violation.
    pub(super) fn over(
        &mut self,
        rule: Rule,
        found: u64,
        limit: Option<u64>,
        unit: &str,
        place: impl FnOnce() -> Place,
    ) {
        if let Some(limit) = limit.filter(|limit| found > *limit) {
            self.add(rule, format!("{found} {unit}"), format!("{limit} {unit}"), place());
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Rule) -> bool) {
        self.found.retain(|(rule, _)| keep(rule));
    }

    pub(super) fn any_of(&self, rules: &[Rule]) -> bool {
        self.found.iter().any(|(rule, _)| rules.contains(rule))
    }

    /// Makes every violation of one rule a violation of another.
    pub(super) fn reinterpret(&mut self, from: Rule, to: Rule) {
        for (rule, violation) in self.found.iter_mut().filter(|(rule, _)| *rule == from) {
            *rule = to;
            violation.rule = to.id;
            violation.hint = to.hint.to_owned();
        }
    }

    /// The functions that violations speak of, to be named.
    pub(super) fn functions(&mut self) -> BTreeMap<u32, Vec<&mut Option<String>>> {
        let mut functions = BTreeMap::<u32, Vec<_>>::new();
        for (_, violation) in &mut self.found {
            if let Some((index, name)) = &mut violation.place.function {
                functions.entry(*index).or_default().push(name);
            }
        }
        functions
    }

    /// `None` if there are no violations.
    pub(super) fn into_rejection(self) -> Option<Rejection> {
        let violations: Vec<_> = self.found.into_iter().map(|(_, violation)| violation).collect();
        (!violations.is_empty()).then_some(Rejection { violations, omitted: self.omitted })
    }
}
