//! What an app may read and write: its own keys, within its quota.

use cotenant_guest::storage::{Answer, Request};
use near_sdk::env;

/// The first byte of every key of an app. The contract's state is under `STATE` and its collections under
/// 0 and 1, so an app can never name them.
const APP_PREFIX: u8 = b'a';

/// The storage of one app during one call.
pub struct AppStorage {
    prefix: Vec<u8>,
    used_bytes: u64,
    quota_bytes: u64,
    writable: bool,
}

impl AppStorage {
    /// The app uses `used_bytes` of `quota_bytes` so far.
    pub fn new(namespace: &str, used_bytes: u64, quota_bytes: u64) -> Self {
        Self { prefix: prefix(namespace), used_bytes, quota_bytes, writable: true }
    }

    /// Reads only.
    pub fn read_only(namespace: &str) -> Self {
        Self { prefix: prefix(namespace), used_bytes: 0, quota_bytes: 0, writable: false }
    }

    /// Bytes of keys and values the app uses now.
    pub const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Does what the app asks, or says why not; never fails, whatever the bytes are.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let answer = match Request::decode(request) {
            None => Answer::Refused("not a request".to_string()),
            Some(Request::Read { key }) => Answer::Value(env::storage_read(&self.full_key(key))),
            Some(_) if !self.writable => Answer::Refused("this call may only read".to_string()),
            Some(Request::Write { key, value }) => self.write(key, value),
            Some(Request::Remove { key }) => self.remove(key),
        };
        answer.encode()
    }

    fn write(&mut self, key: &[u8], value: &[u8]) -> Answer {
        let full_key = self.full_key(key);
        let old = env::storage_read(&full_key);
        let freed = old.as_ref().map_or(0, |old| size(key, old));
        let used_bytes = self.used_bytes.saturating_sub(freed).saturating_add(size(key, value));
        if used_bytes > self.quota_bytes {
            return Answer::Refused(format!(
                "the quota is {} bytes, this needs {used_bytes}",
                self.quota_bytes
            ));
        }
        env::storage_write(&full_key, value);
        self.used_bytes = used_bytes;
        Answer::Value(old)
    }

    fn remove(&mut self, key: &[u8]) -> Answer {
        let full_key = self.full_key(key);
        let old = env::storage_read(&full_key);
        if let Some(old) = &old {
            env::storage_remove(&full_key);
            self.used_bytes = self.used_bytes.saturating_sub(size(key, old));
        }
        Answer::Value(old)
    }

    fn full_key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }
}

/// Namespaces hold no `/`, so no app's prefix is the beginning of another's.
fn prefix(namespace: &str) -> Vec<u8> {
    let mut prefix = vec![APP_PREFIX];
    prefix.extend_from_slice(namespace.as_bytes());
    prefix.push(b'/');
    prefix
}

fn size(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}
