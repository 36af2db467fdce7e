//! JSON-RPC 2.0: requests, batches, ids, errors; the limits on what is read (`rpc.md` 2).

use serde_json::{Map, Value, json};

/// The deepest nesting that is read.
pub const NESTING_MAX: usize = 120;

/// Requests of a batch at most; the rest of a longer one is answered with an error each.
pub const BATCH_MAX: usize = 1_000;

/// Bytes of a request body or websocket message at most.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// What a method answers.
pub type Answer = Result<Value, RpcError>;

/// An error in NEAR's form or in Ethereum's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// JSON-RPC's number.
    pub code: i64,
    /// What went wrong, for people.
    pub message: String,
    /// What a client reads: NEAR's cause in words, the bytes of a revert.
    pub data: Option<Value>,
    /// NEAR's `name` and `cause`; Ethereum's errors have none.
    pub near: Option<Box<NearError>>,
}

/// What NEAR's errors have besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearError {
    /// `HANDLER_ERROR`, `REQUEST_VALIDATION_ERROR` or `INTERNAL_ERROR`.
    pub name: &'static str,
    /// Name of the cause, for instance `UNKNOWN_ACCOUNT`.
    pub cause: &'static str,
    /// Fields of the cause.
    pub info: Value,
}

impl RpcError {
    /// A handler's error of NEAR.
    pub fn near(cause: &'static str, info: Value, data: impl Into<Value>) -> Self {
        Self {
            code: -32000,
            message: "Server error".to_owned(),
            data: Some(data.into()),
            near: Some(Box::new(NearError { name: "HANDLER_ERROR", cause, info })),
        }
    }

    /// Parameters that cannot be read, in NEAR's form.
    pub fn parse(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code: -32700,
            message: "Parse error".to_owned(),
            data: Some(Value::String(message.clone())),
            near: Some(Box::new(NearError {
                name: "REQUEST_VALIDATION_ERROR",
                cause: "PARSE_ERROR",
                info: json!({"error_message": message}),
            })),
        }
    }

    /// A method that nobody knows.
    pub fn method_not_found(method: &str) -> Self {
        let near = !is_ethereum(method);
        let data = Value::String(method.to_owned());
        Self {
            code: -32601,
            message: "Method not found".to_owned(),
            data: near.then(|| data.clone()),
            near: near.then(|| {
                Box::new(NearError {
                    name: "REQUEST_VALIDATION_ERROR",
                    cause: "METHOD_NOT_FOUND",
                    info: json!({"method_name": data}),
                })
            }),
        }
    }

    /// The node's own fault, in NEAR's form.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        let text = error.to_string();
        Self {
            code: -32000,
            message: "Server error".to_owned(),
            data: Some(Value::String(text.clone())),
            near: Some(Box::new(NearError {
                name: "INTERNAL_ERROR",
                cause: "INTERNAL_ERROR",
                info: json!({"error_message": text}),
            })),
        }
    }

    /// An error in Ethereum's form.
    pub fn ethereum(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, near: None }
    }

    /// Parameters that cannot be read, in Ethereum's form.
    pub fn params(message: impl std::fmt::Display) -> Self {
        Self::ethereum(-32602, format!("invalid params: {message}"))
    }

    /// Whether it is NEAR's `TIMEOUT_ERROR`, the one that is not HTTP's 200.
    pub fn is_timeout(&self) -> bool {
        self.near.as_ref().is_some_and(|near| near.cause == "TIMEOUT_ERROR")
    }

    fn to_json(&self) -> Value {
        let mut error = Map::new();
        if let Some(near) = &self.near {
            error.insert("name".to_owned(), json!(near.name));
            error.insert("cause".to_owned(), json!({"name": near.cause, "info": near.info}));
        }
        error.insert("code".to_owned(), json!(self.code));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(data) = &self.data {
            error.insert("data".to_owned(), data.clone());
        }
        Value::Object(error)
    }
}

impl From<cotenant_host::HostFault> for RpcError {
    fn from(fault: cotenant_host::HostFault) -> Self {
        Self::internal(fault)
    }
}

/// Whether a method is of Ethereum's family.
pub fn is_ethereum(method: &str) -> bool {
    let family = method.split_once('_').map_or("", |(family, _)| family);
    matches!(
        family,
        "eth"
            | "net"
            | "web3"
            | "evm"
            | "anvil"
            | "hardhat"
            | "txpool"
            | "debug"
            | "personal"
            | "trace"
            | "wallet"
            | "erigon"
            | "ots"
    )
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// As it came; null if there is none.
    pub id: Value,
    /// The method.
    pub method: String,
    /// Its parameters; null if there are none.
    pub params: Value,
}

/// The id of what is no request, and why it is none.
pub type NoRequest = Box<(Value, RpcError)>;

/// What a body is.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One request, or why it is none and its id.
    One(Result<Request, NoRequest>),
    /// Many, in their order.
    Many(Vec<Result<Request, NoRequest>>),
    /// It is no JSON.
    Broken(RpcError),
}

/// Reads a body.
pub fn read(bytes: &[u8]) -> Body {
    if let Some(depth) = too_deep(bytes) {
        return Body::Broken(RpcError::parse(format!(
            "the request is nested more than {NESTING_MAX} deep (at byte {depth})"
        )));
    }
    match serde_json::from_slice::<Value>(bytes) {
        Err(error) => Body::Broken(RpcError::parse(format!("the request is no JSON: {error}"))),
        Ok(Value::Array(all)) if all.is_empty() => {
            Body::Broken(RpcError::ethereum(-32600, "the batch is empty"))
        }
        Ok(Value::Array(all)) => {
            let requests = all.into_iter().enumerate().map(|(index, one)| {
                let request = request(one)?;
                if index < BATCH_MAX {
                    return Ok(request);
                }
                let message =
                    format!("a batch has {BATCH_MAX} requests at most; this is number {index}");
                Err(Box::new((request.id, RpcError::ethereum(-32005, message))))
            });
            Body::Many(requests.collect())
        }
        Ok(one) => Body::One(request(one)),
    }
}

/// Where brackets are nested too deep.
fn too_deep(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Some(place);
                }
            }
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn request(value: Value) -> Result<Request, NoRequest> {
    let Value::Object(mut fields) = value else {
        return Err(Box::new((Value::Null, RpcError::ethereum(-32600, "a request is an object"))));
    };
    let id = fields.remove("id").unwrap_or(Value::Null);
    match fields.remove("method") {
        Some(Value::String(method)) => {
            Ok(Request { id, method, params: fields.remove("params").unwrap_or(Value::Null) })
        }
        _ => Err(Box::new((id, RpcError::ethereum(-32600, "a request has a text `method`")))),
    }
}

/// The envelope of an answer.
pub fn envelope(id: &Value, answer: &Answer) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error.to_json()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_absent_params_are_kept() {
        let Body::One(Ok(request)) =
            read(br#"{"jsonrpc":"2.0","id":"dontcare","method":"status"}"#)
        else {
            panic!("a request")
        };
        assert_eq!((request.id, request.params), (json!("dontcare"), Value::Null));
    }

    #[test]
    fn what_is_no_request_says_so() {
        assert!(matches!(read(b"{"), Body::Broken(_)));
        assert!(matches!(read(b"[]"), Body::Broken(_)));
        assert!(matches!(read(b"7"), Body::One(Err(_))));
        assert!(matches!(read("[".repeat(100_000).as_bytes()), Body::Broken(_)));
        let many = format!("[{}]", vec![r#"{"id":1,"method":"m"}"#; BATCH_MAX + 1].join(","));
        let Body::Many(all) = read(many.as_bytes()) else { panic!("a batch") };
        assert_eq!(all.iter().filter(|one| one.is_err()).count(), 1);
    }

    #[test]
    fn both_families_have_their_own_errors() {
        let near = envelope(&json!(1), &Err(RpcError::method_not_found("nothing")));
        assert_eq!(near["error"]["cause"]["name"], "METHOD_NOT_FOUND");
        let eth = envelope(&json!(1), &Err(RpcError::method_not_found("eth_nothing")));
        assert_eq!(eth["error"], json!({"code": -32601, "message": "Method not found"}));
    }
}
