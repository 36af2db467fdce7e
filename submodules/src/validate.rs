//! From bytes to a module that may be deployed: the first stage of a deploy (`docs/spec/calls.md`, sections
//! 2 and 3).
//!
//! Takes the code, the kind it is to be deployed as and NEAR's configuration; gives a [`ValidModule`], or a
//! [`Rejection`] with every rule that is broken: what was found, what is allowed, where, and what to do.
//!
//! A public module is accepted by NEAR's own `prepare_contract`; our walk over the module explains a
//! refusal and adds the rules NEAR does not have. A private module may use multi-value and wide arithmetic
//! besides NEAR's features, so there the walk decides alone, by the same limits. One walk serves both.
//!
//! Where this is stricter than NEAR, for either kind: an import that is unknown, disabled or of another type
//! is refused here, while NEAR deploys it and fails every call with a link error; so is a segment that lies
//! outside the initial memory or table, with which no instance can start; `br_table`s, segments and exports
//! are limited in number. The size of the *metered* code of a private module is the meter's to limit.

mod near;
mod rules;
mod stack;
#[cfg(test)]
mod tests;
mod violation;
mod walk;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use near_parameters::vm::{Config, VMKind};
use near_vm_runner::logic::errors::PrepareError;

use crate::table::HostFunction;
use crate::{Requirements, Visibility};

pub use rules::{
    BR_TABLE_TARGETS_MAX, DATA_SEGMENTS_MAX, ELEMENT_ITEMS_MAX, ELEMENT_SEGMENTS_MAX, EXPORTS_MAX,
    GLOBALS_MAX, LOCALS_PER_FUNCTION_MAX, LOCALS_TIMES_LOOPS_CONTRACT_MAX, LOCALS_TIMES_LOOPS_MAX,
    MOVED_VALUES_CONTRACT_MAX, MOVED_VALUES_MAX, Origin, RULES, Rule, VIOLATIONS_MAX,
};
pub use violation::{Place, Rejection, Violation};

/// Bytes of a page of memory.
pub const PAGE_BYTES: u64 = 65_536;

/// A module that may be deployed as the kind it was validated for. Only [`validate`] makes one.
#[derive(Clone, Debug)]
pub struct ValidModule {
    /// The kind it was validated for.
    pub visibility: Visibility,
    /// What it requires of its caller. A public module may use everything itself; there this says what it
    /// would require as a private one.
    pub requirements: Requirements,
    /// The host functions it imports, in order of declaration; one may be there twice.
    pub imports: Vec<&'static HostFunction>,
    /// The functions it exports, and whether each is of type `() -> ()`, which a method has to be.
    pub exports: BTreeMap<String, bool>,
    /// How many functions it has, imported ones included.
    pub functions: u32,
    /// Whether it has a start function.
    pub has_start: bool,
    /// Pages its memory starts with: what a private module declares, NEAR's number for a public one.
    pub initial_pages: u32,
    code: Vec<u8>,
}

impl ValidModule {
    /// The module's bytes.
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// Whether a method of this name can be called.
    pub fn has_method(&self, name: &str) -> bool {
        self.exports.get(name).copied().unwrap_or(false)
    }

    /// Bytes its memory starts with.
    pub fn memory_bytes(&self) -> u64 {
        u64::from(self.initial_pages) * PAGE_BYTES
    }
}

/// Validates a module for the kind it is to be deployed as.
///
/// # Errors
/// [`Rejection`] lists every rule that is broken.
pub fn validate(
    code: &[u8],
    visibility: Visibility,
    config: &Config,
) -> Result<ValidModule, Rejection> {
    judge(code, visibility, config).finish(code, visibility)
}

/// Validates a module that is deployed already, maybe by an older version: limits that bind new deploys alone are left out.
///
/// # Errors
/// [`Rejection`] lists every other rule that is broken.
pub fn validate_deployed(
    code: &[u8],
    visibility: Visibility,
    config: &Config,
) -> Result<ValidModule, Rejection> {
    let mut found = judge(code, visibility, config);
    found.faults.retain(|rule| rule.origin != Origin::Deploys);
    found.finish(code, visibility)
}

/// Finds every rule that is broken.
fn judge<'a>(code: &'a [u8], visibility: Visibility, config: &'a Config) -> walk::Walk<'a> {
    let size_limit = config.limit_config.max_contract_size;
    let too_large = code.len() as u64 > size_limit;
    let mut found = walk::Walk::over(code, visibility, config);
    // Over the size nothing more can come of NEAR's verdict.
    if visibility == Visibility::Public && !too_large {
        // Code that makes NEAR's preparation panic is refused as what it cannot prepare.
        let verdict = std::panic::catch_unwind(AssertUnwindSafe(|| {
            near_vm_runner::prepare::prepare_contract(code, config, VMKind::Wasmtime)
        }));
        match verdict.unwrap_or(Err(PrepareError::Serialization)) {
            Ok(_) => found
                .faults
                .retain(|rule| rule.origin != Origin::Near || *rule == rules::CONTRACT_SIZE),
            Err(error) => {
                let explained_by = near::explained_by(&error);
                // What cannot be parsed is explained by that, and has not been read to its end.
                if !found.faults.any_of(explained_by) && !found.faults.any_of(&[rules::MALFORMED]) {
                    let rule = match explained_by {
                        [rule] if *rule == rules::INSTRUMENTED => rules::INSTRUMENTED,
                        _ => rules::PREPARE,
                    };
                    let limit = match config.limit_config.max_instrumented_code_size {
                        Some(limit) if rule == rules::INSTRUMENTED => format!("{limit} bytes"),
                        _ => "what NEAR's runtime prepares".to_owned(),
                    };
                    found.faults.add(rule, error.to_string(), limit, Place::section("module"));
                }
            }
        }
    }
    found
}

/// What a module could be deployed as: what `cotenant check FILE` prints, without a host.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// As a public module.
    pub public: Result<ValidModule, Rejection>,
    /// As a private module; its requirements are what a caller has to grant.
    pub private: Result<ValidModule, Rejection>,
}

impl Inspection {
    /// The kinds the module is eligible for.
    pub fn kinds(&self) -> Vec<Visibility> {
        [&self.public, &self.private]
            .into_iter()
            .flatten()
            .map(|module| module.visibility)
            .collect()
    }
}

/// Validates a module for both kinds.
pub fn inspect(code: &[u8], config: &Config) -> Inspection {
    Inspection {
        public: validate(code, Visibility::Public, config),
        private: validate(code, Visibility::Private, config),
    }
}
