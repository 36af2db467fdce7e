//! `sandbox_patch_state` and `sandbox_fast_forward` (`rpc.md` 7).

use crate::Node;
use crate::near::{params, refusal};
use crate::rpc::{Answer, RpcError};
use cotenant_host::action::{NamespaceScope, Permission};
use cotenant_host::runtime::Patch;
use cotenant_host::state::AccessKey;
use cotenant_submodules::{Namespace, Visibility};
use serde_json::{Value, json};

/// Blocks that are passed over at once at most.
const BLOCKS_MAX: u64 = 1_000_000_000;

fn amount(of: &Value, name: &str) -> Result<Option<u128>, RpcError> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|error| {
            RpcError::parse(format!("Failed parsing args: `{name}` is no amount: {error}"))
        }),
        Some(Value::Number(number)) => Ok(number.as_u64().map(u128::from)),
        Some(_) => Err(RpcError::parse(format!("Failed parsing args: `{name}` is no amount"))),
    }
}

fn permission(of: &Value) -> Result<Permission, RpcError> {
    let Some(limits) = of.get("FunctionCall") else { return Ok(Permission::FullAccess) };
    let methods = limits.get("method_names").and_then(Value::as_array);
    let methods = methods.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(Permission::FunctionCall {
        allowance: amount(limits, "allowance")?,
        receiver: params::account(params::text(limits, "receiver_id")?)?,
        methods: methods.collect(),
        namespaces: NamespaceScope::Named,
    })
}

fn namespace(of: &Value) -> Result<Namespace, RpcError> {
    let name = of.get("namespace").and_then(Value::as_str).unwrap_or_default();
    Namespace::from_bytes(name.as_bytes())
        .map_err(|error| RpcError::parse(format!("Failed parsing args: {error}")))
}

/// A record of NEAR's state as a patch; kinds that stand for nothing here are passed over.
pub(crate) fn patch(record: &Value) -> Result<Option<Patch>, RpcError> {
    let fields = record.as_object().and_then(|record| record.iter().next());
    let Some((kind, of)) = fields else {
        return Err(RpcError::parse("Failed parsing args: a record is an object of one field"));
    };
    let id = || params::account(params::text(of, "account_id")?);
    Ok(match kind.as_str() {
        "Account" => {
            let account = of.get("account").unwrap_or(&Value::Null);
            Some(Patch::Account {
                id: id()?,
                balance: amount(account, "amount")?,
                locked: amount(account, "locked")?,
                storage_usage: account.get("storage_usage").and_then(Value::as_u64),
            })
        }
        "AccessKey" => {
            let key = of.get("access_key").unwrap_or(&Value::Null);
            Some(Patch::Key {
                id: id()?,
                public_key: params::public_key(params::text(of, "public_key")?)?,
                key: AccessKey {
                    nonce: key.get("nonce").and_then(Value::as_u64).unwrap_or(0),
                    permission: permission(key.get("permission").unwrap_or(&Value::Null))?,
                },
            })
        }
        "Contract" => Some(Patch::Module {
            id: id()?,
            namespace: namespace(of)?,
            visibility: Visibility::Public,
            code: params::bytes(params::text(of, "code")?)?,
        }),
        "Data" => Some(Patch::Value {
            id: id()?,
            namespace: namespace(of)?,
            key: params::bytes(params::text(of, "data_key")?)?,
            value: Some(params::bytes(params::text(of, "value")?)?),
        }),
        _ => None,
    })
}

/// Many of them, codes last: an account has to be there before.
pub(crate) fn patches(records: &[Value]) -> Result<Vec<Patch>, RpcError> {
    let mut all = Vec::new();
    for record in records {
        all.extend(patch(record)?);
    }
    Ok(all)
}

impl Node {
    pub(super) async fn patch_state(&self, of: &Value) -> Answer {
        let records = of.get("records").and_then(Value::as_array);
        let records = records
            .ok_or_else(|| RpcError::parse("Failed parsing args: missing field `records`"))?;
        self.chain.patch(patches(records)?).await.map_err(refusal)?;
        Ok(json!({}))
    }

    pub(super) async fn fast_forward(&self, of: &Value) -> Answer {
        let blocks = of.get("delta_height").and_then(Value::as_u64);
        let blocks = blocks
            .ok_or_else(|| RpcError::parse("Failed parsing args: missing field `delta_height`"))?;
        if blocks > BLOCKS_MAX {
            return Err(RpcError::parse(format!("{blocks} blocks; at most {BLOCKS_MAX} at once")));
        }
        self.chain.skip(blocks).await.map_err(refusal)?;
        Ok(json!({}))
    }
}
