//! A contract as an operating system: untrusted apps are private modules of its account.
//!
//! An app has no storage, no balance and no promises. It asks this contract by `callback`, and what is asked
//! is decided here: an app's keys lie under its own name, and it may use so many bytes and no more. Who may
//! install apps is a rule of this contract too; the deployment itself is an action it creates on its own
//! account.

// near-sdk's macros generate public items without documentation.
#![allow(missing_docs)]

mod storage;

use cotenant_guest::{Batch, Call, Replace, Step, StorageOnRemove, Visibility};
use near_sdk::json_types::{Base64VecU8, U64};
use near_sdk::store::{IterableSet, LookupMap};
use near_sdk::{AccountId, BorshStorageKey, PanicOnDefault, env, near, require};

use crate::storage::AppStorage;

/// Bytes of keys and values an app may use, unless the contract was started with another number.
const QUOTA_BYTES: u64 = 10_000;

/// Gas of [`Apps::installed`].
const INSTALLED_GAS: u64 = 5_000_000_000_000;

/// Where this contract keeps its own collections; apps' keys never begin like these.
#[near]
#[derive(BorshStorageKey)]
enum Collection {
    Publishers,
    Apps,
}

/// What is kept about an app.
#[near(serializers = [borsh, json])]
#[derive(Clone)]
pub struct App {
    publisher: AccountId,
    used_bytes: u64,
    /// Whether the module of its name is its own: there from the deployment until it is uninstalled.
    installed: bool,
}

/// Who may install, what is installed, and how much each app may store.
#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Apps {
    owner: AccountId,
    open_to_all: bool,
    publishers: IterableSet<AccountId>,
    apps: LookupMap<String, App>,
    quota_bytes: u64,
}

#[near]
impl Apps {
    /// The caller is the owner. `open_to_all`: anybody may install, not only who was allowed.
    #[init]
    pub fn new(open_to_all: Option<bool>, quota_bytes: Option<U64>) -> Self {
        Self {
            owner: env::predecessor_account_id(),
            open_to_all: open_to_all.unwrap_or(false),
            publishers: IterableSet::new(Collection::Publishers),
            apps: LookupMap::new(Collection::Apps),
            quota_bytes: quota_bytes.map_or(QUOTA_BYTES, |quota| quota.0),
        }
    }

    /// Lets an account install apps; by the owner only.
    pub fn allow(&mut self, publisher: AccountId) {
        require!(env::predecessor_account_id() == self.owner, "only the owner may allow");
        self.publishers.insert(publisher);
    }

    /// Takes that back; by the owner only. Installed apps stay.
    pub fn disallow(&mut self, publisher: AccountId) {
        require!(env::predecessor_account_id() == self.owner, "only the owner may disallow");
        self.publishers.remove(&publisher);
    }

    /// Installs an app or, by its own publisher, replaces it: its code becomes a private module of this
    /// account. Fails as a whole, later, if the code is not eligible or the name is that of a module which is no app
    /// of this contract: the name is the publisher's from the deployment on and not before.
    pub fn install(&mut self, namespace: String, code: Base64VecU8) {
        let publisher = env::predecessor_account_id();
        require!(
            self.open_to_all || publisher == self.owner || self.publishers.contains(&publisher),
            "you may not install apps here"
        );
        require!(!namespace.is_empty(), "the default namespace is this contract's own");
        let replace = match self.apps.get(&namespace) {
            Some(app) => {
                require!(app.publisher == publisher, "the name is another publisher's");
                // A module that is public by now is not the app.
                if app.installed { Replace::Private } else { Replace::Nothing }
            }
            None => Replace::Nothing,
        };
        let installed = near_sdk::serde_json::json!({
            "namespace": namespace, "publisher": publisher,
        });
        own_batch().deploy_module(&namespace, Visibility::Private, replace, &code.0).function_call(
            "installed",
            installed.to_string().as_bytes(),
            INSTALLED_GAS,
        );
    }

    /// The end of an installation: the second action of a batch, so that it is not there if the first fails, and the
    /// first is undone if this one does.
    #[private]
    pub fn installed(&mut self, namespace: String, publisher: AccountId) {
        let used_bytes = match self.apps.get(&namespace) {
            Some(app) => {
                require!(app.publisher == publisher, "the name is another publisher's");
                app.used_bytes
            }
            None => 0,
        };
        self.apps.insert(namespace, App { publisher, used_bytes, installed: true });
    }

    /// Removes the code of an app, by its publisher or the owner. What it stored stays, and its name and its
    /// quota with it, for its publisher to install again.
    pub fn uninstall(&mut self, namespace: String) {
        let caller = env::predecessor_account_id();
        let app = self.known(&namespace);
        require!(caller == app.publisher || caller == self.owner, "the app is not yours");
        require!(app.installed, "the app is not installed");
        if let Some(app) = self.apps.get_mut(&namespace) {
            app.installed = false;
        }
        own_batch().remove_module(&namespace, StorageOnRemove::Delete);
    }

    /// Runs a method of an app, answers what it asks for, and returns what it returns. An app's failure is
    /// this call's failure, so that nothing it stored half is kept.
    pub fn run(&mut self, namespace: String, method: String, args: Base64VecU8) -> Base64VecU8 {
        let app = self.known(&namespace);
        require!(app.installed, "the app is not installed");
        let mut storage = AppStorage::new(&namespace, app.used_bytes, self.quota_bytes);
        let result = drive(&namespace, &method, &args.0, |request| storage.answer(request));
        let used_bytes = storage.used_bytes();
        if let Some(app) = self.apps.get_mut(&namespace) {
            app.used_bytes = used_bytes;
        }
        Base64VecU8(result)
    }

    /// The same as a view: what would be written is refused.
    pub fn view(&self, namespace: String, method: String, args: Base64VecU8) -> Base64VecU8 {
        require!(self.known(&namespace).installed, "the app is not installed");
        let mut storage = AppStorage::read_only(&namespace);
        Base64VecU8(drive(&namespace, &method, &args.0, |request| storage.answer(request)))
    }

    /// What is known about an app.
    pub fn app(&self, namespace: String) -> App {
        self.known(&namespace).clone()
    }

    /// Who was allowed to install.
    pub fn publishers(&self) -> Vec<AccountId> {
        self.publishers.iter().cloned().collect()
    }
}

impl Apps {
    fn known(&self, namespace: &str) -> &App {
        self.apps.get(namespace).unwrap_or_else(|| env::panic_str("no such app is installed"))
    }
}

/// Runs an app to its end. Nothing is granted: all it can do is compute and ask. A public module of the name, which would
/// take this account for its caller, is not reached.
fn drive(
    namespace: &str,
    method: &str,
    args: &[u8],
    mut answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let mut live = Call::open(namespace, method).start().unwrap_or_else(|error| fail(&error));
    let mut step = live.resume(args).unwrap_or_else(|error| fail(&error));
    loop {
        match step {
            Step::Returned(result) => return result,
            Step::Yielded(request) => {
                step = live.resume(&answer(&request)).unwrap_or_else(|error| fail(&error))
            }
        }
    }
}

fn fail(error: &cotenant_guest::SyncExecutionError) -> ! {
    env::panic_str(&format!("the app failed: {error:?}"))
}

/// A batch of actions on this account.
fn own_batch() -> Batch {
    Batch::on(env::current_account_id().as_str())
}
