//! HTTP and websockets. Every address answers both families (`rpc.md` 2).

use crate::eth::Subscriptions;
use crate::rpc::{self, BODY_BYTES_MAX, Body as RpcBody, RpcError};
use crate::{Node, NodeError, NodeOptions, page, parent};
use cotenant_host::Host;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

type Answered = Response<Full<Bytes>>;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;

/// Requests at work at once; more wait.
const REQUESTS_MAX: usize = 256;

/// KiB of bodies that are read at once.
const BODIES_KIB_MAX: u32 = 192 << 10;

/// Bytes of a body that does not tell its length.
const UNTOLD_BYTES_MAX: usize = 4 << 20;

/// How long a client may take for its head, its body, or a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a node listens, once it does.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The addresses, in the order in which they were asked for.
    pub addresses: Vec<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Shared {
    node: Arc<Node>,
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

/// Runs a node until its parent is gone, if it ends with that, or the disk fails. A signal ends it at any moment: what was
/// answered is durable.
///
/// # Errors
/// It cannot listen, or the host failed at the start.
pub fn serve(
    host: Arc<Host>,
    options: NodeOptions,
    ready: impl FnOnce(&Bound),
) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let mut listeners = Vec::new();
        for address in &options.listen {
            let listener = TcpListener::bind(address).await;
            listeners
                .push(listener.map_err(|error| NodeError::Listen { address: *address, error })?);
        }
        let ends_with_parent = options.ends_with_parent;
        let node = Node::start(host, options)?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let _ = node.bound.set(addresses.clone());
        let shared = Shared {
            node: node.clone(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX as usize)),
        };
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for listener in listeners {
            tokio::spawn(accept(listener, shared.clone(), connections.clone()));
        }
        if node.options.engine_at_start {
            let node = node.clone();
            tokio::spawn(async move { node.begin_ethereum().await });
        }
        ready(&Bound { addresses });
        tokio::select! {
            () = parent::gone(), if ends_with_parent => {}
            () = stopped(&node) => {}
        }
        node.chain.stop();
        for _ in 0..200 {
            if node.chain.clock().is_stopped() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
}

async fn stopped(node: &Node) {
    while !node.chain.clock().is_stopped() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn accept(listener: TcpListener, shared: Shared, room: Arc<Semaphore>) {
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many files open: later there may be fewer.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        shared.node.metrics.connections.add(1);
        let shared = shared.clone();
        tokio::spawn(async move {
            connection(stream, shared).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, shared: Shared) {
    // Else each answer waits for the client's acknowledgement, 40 ms.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(handle(&shared, request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that goes away in the middle is nobody's error.
    let _ = serving.await;
}

async fn handle(shared: &Shared, mut request: Request<Incoming>) -> Answered {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Err(reason) = check_caller(&shared.node, request.headers()) {
        shared.node.metrics.refused.add(1);
        return text(StatusCode::FORBIDDEN, reason);
    }
    let mut response = if request.headers().contains_key(header::UPGRADE) {
        upgrade(shared, &mut request)
    } else {
        let path = request.uri().path().to_owned();
        match *request.method() {
            Method::OPTIONS => status(StatusCode::NO_CONTENT),
            Method::POST => post(shared, request).await,
            Method::GET | Method::HEAD => get(shared, &path).await,
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let allowed = HeaderValue::from_static("POST, GET, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allowed);
        let allowed = HeaderValue::from_static("*, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}

fn status(status: StatusCode) -> Answered {
    text(status, String::new())
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answered {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

fn typed(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answered {
    let mut response = text(code, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Answers an upgrade to a websocket (RFC 6455).
fn upgrade(shared: &Shared, request: &mut Request<Incoming>) -> Answered {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return text(StatusCode::BAD_REQUEST, "only websockets are upgraded to\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(request);
    let shared = shared.clone();
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(BODY_BYTES_MAX))
            .max_frame_size(Some(BODY_BYTES_MAX));
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        talk(shared, socket).await;
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn get(shared: &Shared, path: &str) -> Answered {
    let method = match path {
        "/" => return html(page::PAGE),
        "/status" => "status",
        "/health" => "health",
        "/metrics" => {
            let height = *shared.node.chain.blocks().borrow();
            return text(StatusCode::OK, shared.node.metrics.text(height));
        }
        _ => return status(StatusCode::NOT_FOUND),
    };
    let request = rpc::Request { id: Value::Null, method: method.to_owned(), params: Value::Null };
    match shared.node.answer(request).await {
        Ok(answer) => json_response(StatusCode::OK, &answer),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.message),
    }
}

fn html(page: &'static str) -> Answered {
    let mut response = typed(StatusCode::OK, "text/html; charset=utf-8", page);
    let policy = "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
    let policy = HeaderValue::from_static(policy);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn json_response(status: StatusCode, value: &Value) -> Answered {
    typed(status, "application/json", value.to_string())
}

async fn post(shared: &Shared, request: Request<Incoming>) -> Answered {
    let told = request.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = told.unwrap_or(UNTOLD_BYTES_MAX);
    if length > BODY_BYTES_MAX {
        shared.node.metrics.refused.add(1);
        let said = format!("the body has {length} bytes; at most {BODY_BYTES_MAX}\n");
        return text(StatusCode::PAYLOAD_TOO_LARGE, said);
    }
    let kib = u32::try_from(length / 1024 + 1).unwrap_or(BODIES_KIB_MAX);
    let Ok(_room) = shared.bodies.acquire_many(kib).await else {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    };
    let body = Limited::new(request.into_body(), length);
    let bytes = match tokio::time::timeout(PATIENCE, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let said = format!("the body is broken off, or has more than {length} bytes\n");
            return text(StatusCode::PAYLOAD_TOO_LARGE, said);
        }
        Err(_) => return status(StatusCode::REQUEST_TIMEOUT),
    };
    let (answer, timed_out) = respond(shared, &bytes).await;
    let code = if timed_out { StatusCode::REQUEST_TIMEOUT } else { StatusCode::OK };
    json_response(code, &answer)
}

/// The answer to a body, and whether it is NEAR's timeout alone.
async fn respond(shared: &Shared, bytes: &[u8]) -> (Value, bool) {
    match rpc::read(bytes) {
        RpcBody::Broken(error) => (rpc::envelope(&Value::Null, &Err(error)), false),
        RpcBody::One(request) => {
            let (id, answer) = one(shared, request).await;
            let timed_out = answer.as_ref().is_err_and(RpcError::is_timeout);
            (rpc::envelope(&id, &answer), timed_out)
        }
        RpcBody::Many(requests) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                let (id, answer) = one(shared, request).await;
                answers.push(rpc::envelope(&id, &answer));
            }
            (Value::Array(answers), false)
        }
    }
}

async fn one(
    shared: &Shared,
    request: Result<rpc::Request, rpc::NoRequest>,
) -> (Value, rpc::Answer) {
    match request {
        Err(refused) => {
            let (id, error) = *refused;
            (id, Err(error))
        }
        Ok(request) => {
            let id = request.id.clone();
            let Ok(_permit) = shared.requests.acquire().await else {
                return (id, Err(RpcError::internal("the node ends")));
            };
            // A task of its own: a panic ends it alone, and a client that goes away takes nothing with it.
            let node = shared.node.clone();
            let answer = tokio::spawn(async move { node.answer(request).await }).await;
            (id, answer.unwrap_or_else(|error| Err(RpcError::internal(error))))
        }
    }
}

/// A websocket: one message after the other, text or binary, and what was subscribed to.
async fn talk(shared: Shared, mut socket: WebSocketStream<TokioIo<Upgraded>>) {
    let mut blocks = shared.node.chain.blocks();
    let mut subscribed = Subscriptions::default();
    loop {
        let mut sending = Vec::new();
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(asked))) => {
                    sending.push(heard(&shared, &mut subscribed, asked.as_bytes()).await);
                }
                Some(Ok(Message::Binary(asked))) => {
                    sending.push(heard(&shared, &mut subscribed, &asked).await);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            changed = blocks.changed(), if !subscribed.is_empty() => {
                if changed.is_err() {
                    return;
                }
                sending = subscribed.news(&shared.node).await;
            }
        }
        for answer in sending {
            let sent = socket.send(Message::text(answer.to_string()));
            // Who does not read is let go.
            if !matches!(tokio::time::timeout(PATIENCE, sent).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// The answer to a message of a websocket.
async fn heard(shared: &Shared, subscribed: &mut Subscriptions, bytes: &[u8]) -> Value {
    if let RpcBody::One(Ok(request)) = rpc::read(bytes) {
        let answer = match request.method.as_str() {
            "eth_subscribe" => Some(subscribed.begin(&shared.node, &request.params).await),
            "eth_unsubscribe" => Some(Ok(subscribed.end(&request.params))),
            _ => None,
        };
        if let Some(answer) = answer {
            return rpc::envelope(&request.id, &answer);
        }
    }
    respond(shared, bytes).await.0
}

/// Whether a request may be answered: browsers send pages of others here, and names that were made to mean loopback.
fn check_caller(node: &Node, headers: &HeaderMap) -> Result<(), String> {
    if let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
        let name = host_of(host);
        let bound = node.bound.get().into_iter().flatten();
        let mut names = bound.map(|address| address.ip().to_string());
        let known = is_loopback(name)
            || names.any(|known| known == name)
            || node.options.allowed_hosts.iter().any(|known| known == name || known == "*");
        if !known {
            return Err(format!(
                "requests may not name the host {name:?}; --allow-host {name} lets them\n"
            ));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let name = host_of(origin.split_once("://").map_or(origin, |(_, rest)| rest));
        let known = is_loopback(name)
            || node.options.allowed_origins.iter().any(|known| known == origin || known == "*");
        if !known {
            return Err(format!(
                "pages of {origin} may not send requests; --allow-origin {origin} lets them\n"
            ));
        }
    }
    Ok(())
}

/// A host without its port.
fn host_of(text: &str) -> &str {
    match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => text.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
