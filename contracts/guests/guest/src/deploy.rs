//! Modules deployed and removed by a contract on its own account, as actions of a promise.

use crate::register::raw;
use crate::sys;

/// Who may call a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Anyone, by a `FunctionCall` action, and the modules of the account.
    Public,
    /// The modules of the account alone; the code may import little.
    Private,
}

impl Visibility {
    const fn raw(self) -> u64 {
        match self {
            Self::Public => 0,
            Self::Private => 1,
        }
    }
}

/// What a deployment may put its module in the place of. There is no default, on purpose: a contract that deploys under
/// names that its callers choose wants [`Replace::Nothing`], or [`Replace::Private`] for names that it gave out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Nothing: the namespace has to be free, else the whole batch fails.
    Nothing,
    /// A private module, never a public one.
    Private,
    /// Whatever is there.
    Any,
}

/// The flags of the host's deploy functions.
const fn flags(visibility: Visibility, replace: Replace) -> u64 {
    let replace = match replace {
        Replace::Nothing => 0,
        Replace::Private => 0b010,
        Replace::Any => 0b110,
    };
    visibility.raw() | replace
}

/// What becomes of the storage of a removed module. There is no default, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageOnRemove {
    /// It stays and is found again by the next module of this name.
    Keep,
    /// It is deleted.
    Delete,
}

/// A batch of actions on one account, performed in order after this call, all or none. near-sdk's own
/// promises do not show their index, hence this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    promise: u64,
}

impl Batch {
    /// Begins a batch on `account`. Modules can be deployed on one's own account only.
    pub fn on(account: &str) -> Self {
        let (account_id_len, account_id_ptr) = raw(account.as_bytes());
        // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
        let promise = unsafe { sys::promise_batch_create(account_id_len, account_id_ptr) };
        Self { promise }
    }

    /// Begins a batch on `account` that is performed after this one.
    pub fn then(self, account: &str) -> Self {
        let (account_id_len, account_id_ptr) = raw(account.as_bytes());
        // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
        let promise =
            unsafe { sys::promise_batch_then(self.promise, account_id_len, account_id_ptr) };
        Self { promise }
    }

    /// Adds a function call without deposit.
    pub fn function_call(self, method: &str, arguments: &[u8], gas: u64) -> Self {
        let ((method_len, method_ptr), (arguments_len, arguments_ptr)) =
            (raw(method.as_bytes()), raw(arguments));
        let deposit = 0_u128.to_le_bytes();
        // SAFETY: the pointers are of data that outlives the call; the host reads 16 bytes of the deposit.
        unsafe {
            sys::promise_batch_action_function_call(
                self.promise,
                method_len,
                method_ptr,
                arguments_len,
                arguments_ptr,
                deposit.as_ptr() as u64,
                gas,
            );
        }
        self
    }

    /// Adds a transfer of yoctoNEAR.
    pub fn transfer(self, amount: u128) -> Self {
        let amount = amount.to_le_bytes();
        // SAFETY: the host reads 16 bytes at the pointer, which are there.
        unsafe { sys::promise_batch_action_transfer(self.promise, amount.as_ptr() as u64) };
        self
    }

    /// Makes the result of the batch the result of this call.
    pub fn be_the_result(self) {
        // SAFETY: takes no pointer.
        unsafe { sys::promise_return(self.promise) };
    }

    /// The batch of an index that `promise_batch_create` or `promise_batch_then` gave.
    pub const fn from_index(promise: u64) -> Self {
        Self { promise }
    }

    /// The index, for NEAR's functions.
    pub const fn index(self) -> u64 {
        self.promise
    }

    /// Adds the deployment of `code`, in the place of what `replace` says.
    pub fn deploy_module(
        self,
        namespace: &str,
        visibility: Visibility,
        replace: Replace,
        code: &[u8],
    ) -> Self {
        let (namespace_len, namespace_ptr) = raw(namespace.as_bytes());
        let (code_len, code_ptr) = raw(code);
        // SAFETY: the pointers are of slices that outlive the call; the host reads them alone.
        unsafe {
            sys::promise_batch_action_deploy_module(
                self.promise,
                namespace_len,
                namespace_ptr,
                flags(visibility, replace),
                code_len,
                code_ptr,
            );
        }
        self
    }

    /// Adds the deployment of code that is deployed somewhere already, by its SHA-256 and its length in bytes, which it pays
    /// for. With another length than the code has the receipt fails.
    pub fn deploy_module_by_hash(
        self,
        namespace: &str,
        visibility: Visibility,
        replace: Replace,
        hash: &[u8; 32],
        code_len: u64,
    ) -> Self {
        let (namespace_len, namespace_ptr) = raw(namespace.as_bytes());
        // SAFETY: the pointers are of data that outlives the call; the host reads 32 bytes of the hash.
        unsafe {
            sys::promise_batch_action_deploy_module_by_hash(
                self.promise,
                namespace_len,
                namespace_ptr,
                flags(visibility, replace) | code_len << 8,
                hash.as_ptr() as u64,
            );
        }
        self
    }

    /// Adds the removal of a module.
    pub fn remove_module(self, namespace: &str, storage: StorageOnRemove) -> Self {
        let (namespace_len, namespace_ptr) = raw(namespace.as_bytes());
        let keep_storage = u64::from(storage == StorageOnRemove::Keep);
        // SAFETY: the pointer is of a slice that outlives the call; the host reads it alone.
        unsafe {
            sys::promise_batch_action_remove_module(
                self.promise,
                namespace_len,
                namespace_ptr,
                keep_storage,
            );
        }
        self
    }
}
