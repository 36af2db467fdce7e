//! Cases to measure, from one-transaction fixtures and from state tests.

use crate::statetest::{TestFile, block_and_config};
use crate::world::World;
use revm::context::TxEnv;
use revm::primitives::hardfork::SpecId;
use revm_statetest_types::{Test, TestUnit};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A transaction to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// See [`super::Row`].
    pub name: String,
    /// Where it is from.
    pub file: String,
    /// What it starts from.
    pub world: World,
    /// The transaction.
    pub transaction: TxEnv,
}

/// Why a file has no case to measure.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file}: {reason}; a fixture is {{NAME: {{env, pre, transaction: [one]}}}} or a state test"
)]
pub struct FixtureError {
    /// Which file.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The cases of a file under a fork, whatever its `post` names.
///
/// # Errors
/// It is neither a fixture nor a state test.
pub fn cases(file: &TestFile, spec: SpecId) -> Result<Vec<Case>, FixtureError> {
    let wrong = |reason: String| FixtureError { file: file.name.clone(), reason };
    let suite: BTreeMap<String, Value> =
        serde_json::from_slice(&file.bytes).map_err(|error| wrong(error.to_string()))?;
    let mut transactions = Vec::new();
    for (test, mut unit) in suite {
        as_state_test(&mut unit).map_err(|reason| wrong(format!("{test}: {reason}")))?;
        let post = match unit.get_mut("post").map(Value::take) {
            Some(Value::Object(post)) => post,
            _ => return Err(wrong(format!("{test}: no `post`"))),
        };
        // The cases are the same under each fork; what they lead to is not compared.
        let Some(tests) = post.into_iter().next().map(|(_, tests)| tests) else { continue };
        unit["post"] = json!({});
        let unit: TestUnit =
            serde_json::from_value(unit).map_err(|error| wrong(format!("{test}: {error}")))?;
        let tests: Vec<Test> =
            serde_json::from_value(tests).map_err(|error| wrong(format!("{test}: {error}")))?;
        let (mut block, mut config) = block_and_config(&unit, spec);
        block.gas_limit = u64::MAX;
        config.tx_gas_limit_cap = Some(u64::MAX);
        let world = World { pre: unit.state(), block, config };
        for case in tests {
            let parts = &unit.transaction;
            let there = case.indexes.data < parts.data.len()
                && case.indexes.gas < parts.gas_limit.len()
                && case.indexes.value < parts.value.len();
            if !there {
                return Err(wrong(format!("{test}: a case has an index beyond its transaction")));
            }
            let transaction =
                case.tx_env(&unit).map_err(|error| wrong(format!("{test}: {error}")))?;
            transactions.push((world.clone(), transaction));
        }
    }
    let stem = file.name.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    let several = transactions.len() > 1;
    let case = |(index, (world, transaction)): (usize, (World, TxEnv))| Case {
        name: if several { format!("{stem}.{index}") } else { stem.to_owned() },
        file: file.name.clone(),
        world,
        transaction,
    };
    Ok(transactions.into_iter().enumerate().map(case).collect())
}

/// Makes a one-transaction fixture a state test of one case. revm's types can then read both.
fn as_state_test(unit: &mut Value) -> Result<(), String> {
    let Some(Value::Array(transactions)) = unit.get_mut("transaction") else { return Ok(()) };
    let count = transactions.len();
    let (1, Some(mut transaction)) = (count, transactions.pop()) else {
        return Err(format!("{count} transactions; one is measured"));
    };
    let Some(fields) = transaction.as_object_mut() else {
        return Err("its transaction is no object".to_owned());
    };
    for name in ["data", "gasLimit", "value"] {
        let value =
            fields.remove(name).ok_or_else(|| format!("its transaction has no `{name}`"))?;
        fields.insert(name.to_owned(), json!([value]));
    }
    // Nobody signs; revm's types want a key all the same, and do not use it where there is a sender.
    fields.entry("secretKey").or_insert_with(|| json!(format!("0x{:064x}", 1)));
    unit["transaction"] = transaction;
    let zero = format!("0x{:064x}", 0);
    let indexes = json!({ "data": 0, "gas": 0, "value": 0 });
    unit["post"] = json!({ "Cancun": [{ "indexes": indexes, "hash": zero, "logs": zero }] });
    Ok(())
}
