//! `query` and its family: accounts, keys, code, state and calls of views.

use crate::Node;
use crate::near::{json, params};
use crate::rpc::{Answer, RpcError};
use cotenant_host::runtime::{BlockHeader, BlockReference, HistoryError, RuntimeError};
use cotenant_host::state::{Account, WorkingState};
use cotenant_host::view::StateView as _;
use cotenant_submodules::{Namespace, Visibility, split_method};
use near_account_id::AccountId;
use serde_json::{Map, Value};

/// Values that `view_state` gives at most, as bytes of keys and values (neard's `trie_viewer_state_size_limit`).
const STATE_BYTES_MAX: usize = 50_000;

/// The block that is read, and its state.
struct At {
    header: BlockHeader,
    state: WorkingState,
}

impl At {
    fn info(&self) -> Map<String, Value> {
        let mut info = Map::new();
        info.insert("block_height".to_owned(), json!(self.header.height));
        info.insert("block_hash".to_owned(), json!(self.header.hash.to_string()));
        info
    }

    /// An answer with the block that it was read at.
    fn with(&self, answer: Value) -> Value {
        let mut all = match answer {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        all.extend(self.info());
        Value::Object(all)
    }

    fn error(&self, cause: &'static str, more: Value, data: String) -> RpcError {
        RpcError::near(cause, self.with(more), data)
    }

    fn account(&self, id: &AccountId) -> Result<Account, RpcError> {
        self.state.account(id)?.ok_or_else(|| {
            let more = json!({"requested_account_id": id});
            self.error(
                "UNKNOWN_ACCOUNT",
                more,
                format!("account {id} does not exist while viewing"),
            )
        })
    }
}

/// The old form of a failed view: a result with `error`, which every client takes.
fn failed(at: &At, error: String, logs: &[String]) -> Value {
    at.with(json!({"error": error, "logs": logs}))
}

/// `["account/x", data]` as the object that it stands for.
fn of_path(list: &[Value]) -> Result<Value, RpcError> {
    let path = list.first().and_then(Value::as_str).unwrap_or_default();
    let data = list.get(1).and_then(Value::as_str).unwrap_or_default();
    let data = bs58::decode(data)
        .into_vec()
        .map_err(|error| RpcError::parse(format!("Failed to decode base58: {error}")))?;
    let parts: Vec<&str> = path.splitn(3, '/').collect();
    Ok(match parts.as_slice() {
        ["account", id] => json!({"request_type": "view_account", "account_id": id}),
        ["code", id] => json!({"request_type": "view_code", "account_id": id}),
        ["access_key", id] => json!({"request_type": "view_access_key_list", "account_id": id}),
        ["access_key", id, key] => {
            json!({"request_type": "view_access_key", "account_id": id, "public_key": key})
        }
        ["contract", id] => json!({
            "request_type": "view_state", "account_id": id, "prefix_base64": json::base64(&data)
        }),
        ["call", id, method] => json!({
            "request_type": "call_function", "account_id": id, "method_name": method,
            "args_base64": json::base64(&data),
        }),
        _ => return Err(RpcError::parse(format!("Not supported query path: {path}"))),
    })
}

impl Node {
    fn at(&self, block: BlockReference) -> Result<At, RpcError> {
        let header = self.header(block)?;
        let state = match block {
            BlockReference::Head => {
                self.host.runtime().state_at(BlockReference::Height(header.height))
            }
            other => self.host.runtime().state_at(other),
        };
        match state {
            Ok(state) => Ok(At { header, state }),
            Err(HistoryError::Fault(fault)) => Err(fault.into()),
            Err(HistoryError::Unknown { .. }) => Err(RpcError::near(
                "UNKNOWN_BLOCK",
                json!({}),
                "DB Not Found Error: BLOCK".to_owned(),
            )),
            Err(gone) => Err(RpcError::near(
                "GARBAGE_COLLECTED_BLOCK",
                json!({"block_height": header.height, "block_hash": header.hash.to_string()}),
                gone.to_string(),
            )),
        }
    }

    /// Answers `query` and the `EXPERIMENTAL_` methods that are one of its kinds.
    pub(super) fn query(&self, method: &str, of: &Value) -> Answer {
        let positional = match of {
            Value::Array(list) => Some(of_path(list)?),
            _ => None,
        };
        let of = positional.as_ref().unwrap_or(of);
        let kind = match method.strip_prefix("EXPERIMENTAL_") {
            Some(kind) => kind,
            None => params::text(of, "request_type")?,
        };
        let id = params::account(params::text(of, "account_id")?)?;
        let at = self.at(params::block(of)?)?;
        match kind {
            "view_account" => {
                let account = at.account(&id)?;
                Ok(at.with(self.account_view(&at, &id, &account)?))
            }
            "view_access_key" => {
                at.account(&id)?;
                let key = params::public_key(params::text(of, "public_key")?)?;
                match at.state.access_key(&id, &key)? {
                    Some(found) => Ok(at.with(json::access_key(&found))),
                    None if method != "query" => Err(at.error(
                        "UNKNOWN_ACCESS_KEY",
                        json!({"public_key": key.to_string()}),
                        format!("access key {key} does not exist while viewing"),
                    )),
                    None => Ok(failed(
                        &at,
                        format!("access key {key} does not exist while viewing"),
                        &[],
                    )),
                }
            }
            "view_access_key_list" => {
                at.account(&id)?;
                let keys = at.state.access_keys(&id)?;
                let keys: Vec<Value> = keys
                    .iter()
                    .map(|(key, found)| {
                        json!({"public_key": key.to_string(), "access_key": json::access_key(found)})
                    })
                    .collect();
                Ok(at.with(json!({"keys": keys})))
            }
            "view_code" => {
                at.account(&id)?;
                self.view_code(&at, &id, &Namespace::DEFAULT)
            }
            "view_state" => {
                at.account(&id)?;
                view_state(&at, &id, of)
            }
            "call_function" => self.call_function(&at, &id, of, method != "query"),
            "view_gas_key_nonces" => Ok(at.with(json!({"nonces": []}))),
            other => Err(RpcError::parse(format!(
                "Failed parsing args: unknown variant `{other}`, expected one of `view_account`, `view_code`, `view_state`, `view_access_key`, `view_access_key_list`, `call_function`"
            ))),
        }
    }

    fn account_view(&self, at: &At, id: &AccountId, account: &Account) -> Answer {
        let modules = at.state.modules(id)?;
        let code = modules.get(&Namespace::DEFAULT);
        let code = code.filter(|module| module.visibility == Visibility::Public);
        let hash = code.map(|module| module.code_hash).unwrap_or_default();
        let mut view = json!({
            "amount": account.balance.to_string(),
            "locked": account.locked.to_string(),
            "code_hash": hash.to_string(),
            "storage_usage": account.storage_usage,
            "storage_paid_at": 0,
        });
        if modules.keys().any(|namespace| !namespace.is_default()) {
            view["modules"] = modules_view(&modules);
        }
        Ok(view)
    }

    fn view_code(&self, at: &At, id: &AccountId, namespace: &Namespace) -> Answer {
        let module = at.state.module(id, namespace)?;
        let code = match &module {
            Some(module) => at.state.code(&module.code_hash)?,
            None => None,
        };
        match (module, code) {
            (Some(module), Some(code)) => Ok(at.with(json!({
                "code_base64": json::base64(&code),
                "hash": module.code_hash.to_string(),
            }))),
            _ => Err(at.error(
                "NO_CONTRACT_CODE",
                json!({"contract_account_id": id}),
                format!("Contract code for contract ID #{id} has never been observed on the node"),
            )),
        }
    }

    fn call_function(&self, at: &At, id: &AccountId, of: &Value, structured: bool) -> Answer {
        at.account(id)?;
        let named = params::text(of, "method_name")?;
        let args =
            params::bytes(of.get("args_base64").and_then(Value::as_str).unwrap_or_default())?;
        if let Some(reserved) = named.strip_prefix('@') {
            return reserved_view(at, id, reserved, &args);
        }
        let gas = self.host.runtime().schedule().vm.limit_config.max_gas_burnt.as_gas();
        let (namespace, method) = split_method(named).map_err(RpcError::parse_error)?;
        let no_code = at.state.module(id, &namespace)?.is_none() && namespace.is_default();
        if no_code {
            let error = format!(
                "wasm execution failed with error: CompilationError(CodeDoesNotExist {{ account_id: AccountId(\"{id}\") }})"
            );
            return Ok(failed(at, error, &[]));
        }
        let ran = self.host.runtime().view_on(&at.state, id, &namespace, method, &args, gas);
        let ran = ran.map_err(|error| match error {
            RuntimeError::Invalid(invalid) => RpcError::internal(invalid),
            RuntimeError::Fault(fault) => fault.into(),
        })?;
        self.metrics.views.add(1);
        match ran.abort {
            None => {
                let value = ran.return_data.as_value().unwrap_or_default();
                Ok(at.with(json!({"result": value, "logs": ran.logs})))
            }
            Some(abort) => {
                let error = format!("wasm execution failed with error: {}", vm_error(&abort));
                if structured {
                    return Err(at.error(
                        "CONTRACT_EXECUTION_ERROR",
                        json!({"vm_error": error, "contract_id": id}),
                        error.clone(),
                    ));
                }
                Ok(failed(at, error, &ran.logs))
            }
        }
    }
}

/// Why a view failed, as neard says it: clients look for its names.
fn vm_error(abort: &cotenant_host::exec::Abort) -> String {
    match abort.code.split_once('.') {
        Some(("HostError", "GuestPanic")) => {
            let said = abort.message.strip_prefix("Smart contract panicked: ");
            let said = said.unwrap_or(&abort.message);
            format!("HostError(GuestPanic {{ panic_msg: {said:?} }})")
        }
        Some((kind, name)) if kind == "MethodResolveError" => format!("{kind}({name})"),
        Some((kind, name)) => format!("{kind}({name}): {}", abort.message),
        None => format!("{}: {}", abort.code, abort.message),
    }
}

impl RpcError {
    fn parse_error(error: impl std::fmt::Display) -> Self {
        Self::parse(format!("Failed parsing args: {error}"))
    }
}

fn modules_view(
    modules: &std::collections::BTreeMap<Namespace, cotenant_host::view::ModuleRecord>,
) -> Value {
    let all = modules.iter().map(|(namespace, module)| {
        let visibility = match module.visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
        };
        let view = json!({
            "code_hash": module.code_hash.to_string(),
            "visibility": visibility,
            "bytes": module.code_bytes,
        });
        (namespace.as_str().to_owned(), view)
    });
    Value::Object(all.collect())
}

/// Views that need no Wasm: `@modules`, `@code:NS`, `@state:NS` (`rpc.md` 8).
fn reserved_view(at: &At, id: &AccountId, name: &str, args: &[u8]) -> Answer {
    let (what, of) = name.split_once(':').unwrap_or((name, ""));
    let namespace = Namespace::from_bytes(of.as_bytes()).map_err(RpcError::parse_error)?;
    let value = match what {
        "modules" => modules_view(&at.state.modules(id)?).to_string().into_bytes(),
        "code" => match at.state.module(id, &namespace)? {
            Some(module) => at.state.code(&module.code_hash)?.unwrap_or_default(),
            None => {
                let error = format!(
                    "wasm execution failed with error: ModuleDoesNotExist: account {id} has no module {namespace:?}"
                );
                return Ok(failed(at, error, &[]));
            }
        },
        "state" => {
            let found = at.state.values(id, &namespace, args, 1_000)?;
            let found = found.iter().map(
                |(key, value)| json!({"key": json::base64(key), "value": json::base64(value)}),
            );
            Value::Array(found.collect()).to_string().into_bytes()
        }
        _ => {
            let error = format!(
                "wasm execution failed with error: MethodResolveError(MethodNotFound): @{name}"
            );
            return Ok(failed(at, error, &[]));
        }
    };
    Ok(at.with(json!({"result": value, "logs": []})))
}

fn view_state(at: &At, id: &AccountId, of: &Value) -> Answer {
    let prefix = of.get("prefix_base64").and_then(Value::as_str).unwrap_or_default();
    let prefix = params::bytes(prefix)?;
    let namespace = of.get("namespace").and_then(Value::as_str).unwrap_or_default();
    let namespace = Namespace::from_bytes(namespace.as_bytes()).map_err(RpcError::parse_error)?;
    let found = at.state.values(id, &namespace, &prefix, usize::MAX)?;
    let bytes: usize = found.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > STATE_BYTES_MAX && of.get("include_proof").is_none() && found.len() > 10_000 {
        return Err(at.error(
            "TOO_LARGE_CONTRACT_STATE",
            json!({"contract_account_id": id}),
            format!("State of contract {id} is too large to be viewed"),
        ));
    }
    let values: Vec<Value> = found
        .iter()
        .map(|(key, value)| json!({"key": json::base64(key), "value": json::base64(value)}))
        .collect();
    Ok(at.with(json!({"values": values})))
}
