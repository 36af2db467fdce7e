//! What NEAR's own verdict on a public module means in rules of ours.

use near_vm_runner::logic::errors::PrepareError;

use super::rules::{self, Rule};

/// The rules of which at least one is broken when NEAR gives this verdict. A closed match: an upgrade of
/// near-vm-runner cannot add a verdict that nothing explains.
pub(super) fn explained_by(error: &PrepareError) -> &'static [Rule] {
    match error {
        // The module could not be written again, or for a reason that NEAR does not tell apart.
        PrepareError::Serialization
        | PrepareError::GasInstrumentation
        | PrepareError::StackHeightInstrumentation => &[],
        PrepareError::Deserialization => {
            &[rules::MALFORMED, rules::INVALID, rules::FEATURE, rules::MEMORY_COUNT]
        }
        PrepareError::InternalMemoryDeclared => &[rules::MEMORY_COUNT],
        PrepareError::Instantiate => &[rules::IMPORT_MODULE, rules::IMPORT_KIND],
        PrepareError::Memory => &[rules::IMPORT_MEMORY],
        PrepareError::TooManyFunctions => &[rules::FUNCTIONS],
        PrepareError::TooManyLocals => &[rules::LOCALS],
        PrepareError::TooManyTables => &[rules::TABLES],
        PrepareError::TooManyTableElements => &[rules::TABLE_ELEMENTS],
        PrepareError::FunctionBodyTooLarge => &[rules::BODY_SIZE],
        PrepareError::InstrumentedCodeTooLarge => &[rules::INSTRUMENTED],
        PrepareError::TooManyBlocksPerFunction => &[rules::BLOCKS_FUNCTION],
        PrepareError::TooManyBlocksPerContract => &[rules::BLOCKS_CONTRACT],
        PrepareError::TooManyTypes => &[rules::TYPES],
        PrepareError::TooManyParamsPerContract => &[rules::PARAMS_CONTRACT],
        PrepareError::TooManyParamsPerFunction => &[rules::PARAMS_FUNCTION],
        PrepareError::OperandStackTooLarge => &[rules::OPERAND_STACK],
        PrepareError::TooManyGlobals => &[rules::GLOBALS],
    }
}
