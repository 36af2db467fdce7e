//! `eth_call` and `eth_estimateGas`: views of the engine over a snapshot, with what the caller would have it be.

use crate::Node;
use crate::eth::at;
use crate::eth::hex::{self, bytes_hex, quantity_u64};
use crate::rpc::{Answer, RpcError};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::{Encodable, Header};
use cotenant_host::state::WorkingState;
use engine_abi::{Status, TransactionResult, View};
use serde_json::{Value, json};

/// Gas of a call that says nothing, and the most that is estimated.
const GAS_CAP: u64 = 30_000_000;

/// A call as clients describe it.
struct Asked {
    from: Address,
    to: Option<Address>,
    value: U256,
    input: Vec<u8>,
    gas: u64,
    price: U256,
    /// Intrinsic gas of the access list (EIP-2930). What it saves is not counted.
    list_gas: u64,
}

/// Intrinsic gas of an access list.
fn list_gas(list: Option<&Value>) -> u64 {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    entries
        .map(|entry| {
            let keys = entry.get("storageKeys").and_then(Value::as_array).map_or(0, Vec::len);
            2_400 + 1_900 * keys as u64
        })
        .sum()
}

impl Asked {
    fn of(call: &Value) -> Result<Self, RpcError> {
        let field = |name: &str| call.get(name).filter(|value| !value.is_null());
        let input = field("input").or_else(|| field("data"));
        let price = field("gasPrice").or_else(|| field("maxFeePerGas"));
        Ok(Self {
            from: field("from").map_or(Ok(Address::ZERO), hex::address)?,
            to: field("to").map(hex::address).transpose()?,
            value: field("value").map_or(Ok(U256::ZERO), hex::number)?,
            input: input.map_or(Ok(Vec::new()), |value| hex::bytes(value, "input"))?,
            gas: field("gas").map_or(Ok(GAS_CAP), hex::number_u64)?.min(GAS_CAP * 10),
            price: price.map_or(Ok(U256::ZERO), hex::number)?,
            list_gas: list_gas(field("accessList")),
        })
    }
}

/// The address of a contract that an account makes.
pub(super) fn created(from: &Address, nonce: u64) -> Address {
    let mut fields = Vec::new();
    from.encode(&mut fields);
    nonce.encode(&mut fields);
    let mut bytes = Vec::new();
    Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
    bytes.extend(fields);
    Address::from_slice(&keccak256(bytes)[12..])
}

/// Intrinsic gas of a creation beyond that of a call without input.
fn creation_gas(initcode: &[u8]) -> u64 {
    let bytes: u64 = initcode.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
    32_000 + bytes + 2 * (initcode.len() as u64).div_ceil(32)
}

/// What went wrong, in geth's words.
pub(super) fn failure(result: &TransactionResult) -> RpcError {
    match &result.status {
        Status::Revert => {
            let reason = revert_reason(&result.output);
            let message = match reason {
                Some(reason) => format!("execution reverted: {reason}"),
                None => "execution reverted".to_owned(),
            };
            RpcError { data: Some(bytes_hex(&result.output)), ..RpcError::ethereum(3, message) }
        }
        Status::Halt(name) if name.contains("OutOfGas") => RpcError::ethereum(-32000, "out of gas"),
        Status::Halt(name) => RpcError::ethereum(-32000, format!("execution failed: {name}")),
        Status::Invalid(reason) => invalid(reason),
        Status::Success => RpcError::ethereum(-32603, "a success is no failure"),
    }
}

/// revm's words for a transaction that cannot be, in geth's.
pub(super) fn invalid(reason: &str) -> RpcError {
    let said = if reason.contains("too low, expected") {
        format!("nonce too low: {reason}")
    } else if reason.contains("lack of funds") {
        format!("insufficient funds for gas * price + value: {reason}")
    } else if reason.contains("exceeds the gas limit") || reason.contains("floor") {
        format!("intrinsic gas too low: {reason}")
    } else if reason.contains("priority fee is greater") {
        format!("max priority fee per gas higher than max fee per gas: {reason}")
    } else if reason.contains("chain ID") || reason.contains("chain id") {
        "invalid chain id for signer".to_owned()
    } else {
        reason.to_owned()
    };
    RpcError::ethereum(-32000, said)
}

/// The text of `Error(string)`, the code of `Panic(uint256)`.
fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, rest) = output.split_first_chunk::<4>()?;
    match selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let length = usize::try_from(U256::from_be_slice(rest.get(32..64)?)).ok()?;
            let text = rest.get(64..64_usize.checked_add(length)?)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        [0x4e, 0x48, 0x7b, 0x71] => {
            let code = U256::from_be_slice(rest.get(..32)?);
            Some(format!("panic code {code:#04x}"))
        }
        _ => None,
    }
}

impl Node {
    /// Runs a call. A creation runs as a call of an account that has its init code, at the address that it will have.
    fn simulate(
        &self,
        state: &WorkingState,
        asked: &Asked,
        gas: u64,
    ) -> Result<TransactionResult, RpcError> {
        let engine = &self.eth.engine;
        let mut view = View {
            from: asked.from.0.0,
            to: asked.to.unwrap_or_default().0.0,
            value: asked.value.to_be_bytes(),
            input: asked.input.clone(),
            gas_limit: gas,
        };
        if asked.to.is_some() {
            return engine.view(&self.host, state, &view);
        }
        let extra = creation_gas(&asked.input);
        let Some(left) = gas.checked_sub(extra).filter(|left| *left >= 21_000) else {
            return Err(RpcError::ethereum(-32000, "intrinsic gas too low"));
        };
        let mut state = state.clone();
        let nonce = engine.account(&state, &asked.from)?.nonce;
        let to = created(&asked.from, nonce);
        engine.set_code(&mut state, &to, &asked.input)?;
        let mut account = engine.account(&state, &to)?;
        account.nonce = 1;
        engine.set_account(&mut state, &to, &account);
        view.to = to.0.0;
        view.input = Vec::new();
        view.gas_limit = left;
        let mut result = engine.view(&self.host, &state, &view)?;
        let mut more = extra;
        if result.status == Status::Success {
            more += 200 * result.output.len() as u64;
            if result.gas_used.saturating_add(more) > gas {
                result.status = Status::Halt("OutOfGas".to_owned());
            }
            result.created = Some(to.0.0);
        }
        result.gas_used = result.gas_used.saturating_add(more);
        Ok(result)
    }

    /// Writes state overrides over a snapshot.
    fn override_state(&self, state: &mut WorkingState, overrides: &Value) -> Result<(), RpcError> {
        let engine = &self.eth.engine;
        for (address, of) in overrides.as_object().into_iter().flatten() {
            let address = hex::address(&Value::String(address.clone()))?;
            let mut account = engine.account(state, &address)?;
            if let Some(balance) = of.get("balance") {
                account.balance = hex::number(balance)?.to_be_bytes();
            }
            if let Some(nonce) = of.get("nonce") {
                account.nonce = hex::number_u64(nonce)?;
            }
            if of.get("state").is_some() {
                account.incarnation = u32::MAX;
            }
            engine.set_account(state, &address, &account);
            if let Some(code) = of.get("code") {
                engine.set_code(state, &address, &hex::bytes(code, "code")?)?;
            }
            for slots in ["state", "stateDiff"] {
                for (slot, value) in of.get(slots).and_then(Value::as_object).into_iter().flatten()
                {
                    let slot = B256::from(hex::number(&Value::String(slot.clone()))?);
                    engine.set_slot(state, &address, slot, hex::number(value)?)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn eth_call(&self, params: &Value) -> Answer {
        let asked = Asked::of(at(params, 0))?;
        let mut state = self.eth_state(at(params, 1))?;
        self.override_state(&mut state, at(params, 2))?;
        let result = self.simulate(&state, &asked, asked.gas)?;
        self.metrics.views.add(1);
        match result.status {
            Status::Success => Ok(bytes_hex(&result.output)),
            _ => Err(failure(&result)),
        }
    }

    pub(super) fn estimate_gas(&self, params: &Value) -> Answer {
        let asked = Asked::of(at(params, 0))?;
        let mut state = self.eth_state(at(params, 1))?;
        self.override_state(&mut state, at(params, 2))?;
        let engine = &self.eth.engine;
        let balance = U256::from_be_bytes(engine.account(&state, &asked.from)?.balance);
        let mut cap = asked.gas;
        if asked.value > balance {
            return Err(RpcError::ethereum(
                -32000,
                format!(
                    "insufficient funds for gas * price + value: address {} have {balance} want {}",
                    asked.from, asked.value
                ),
            ));
        }
        if !asked.price.is_zero() {
            let affordable = (balance - asked.value) / asked.price;
            cap = cap.min(u64::try_from(affordable).unwrap_or(u64::MAX));
        }
        if asked.input.is_empty()
            && asked
                .to
                .is_some_and(|to| matches!(engine.code(&state, &to), Ok(code) if code.is_empty()))
        {
            return Ok(quantity_u64(21_000 + asked.list_gas));
        }
        let first = self.simulate(&state, &asked, cap)?;
        if first.status != Status::Success {
            return Err(failure(&first));
        }
        let lower = first.gas_used.saturating_add(first.refund).min(cap);
        let passes = |gas: u64| -> Result<bool, RpcError> {
            Ok(self.simulate(&state, &asked, gas).is_ok_and(|one| one.status == Status::Success))
        };
        if passes(lower)? {
            return Ok(quantity_u64(lower + asked.list_gas));
        }
        let next = lower.saturating_add(lower / 63 + 1).min(cap);
        let (mut low, mut high) = if passes(next)? { (lower, next) } else { (next, cap) };
        while high - low > high / 64 {
            let middle = low + (high - low) / 2;
            if passes(middle)? { high = middle } else { low = middle }
        }
        Ok(quantity_u64(high + asked.list_gas))
    }

    /// No access list is ever cheaper here than none, and none is needed.
    pub(super) fn create_access_list(&self, params: &Value) -> Answer {
        let gas = self.estimate_gas(params)?;
        Ok(json!({"accessList": [], "gasUsed": gas}))
    }
}
