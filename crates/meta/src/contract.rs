//! The one trait over domain data.
use crate::{
    account::{Account, AccountChange, NewAccount, Tenant},
    error::{LoginError, MetaError},
    instance::{ChangedInstance, InstanceChange, NewInstance},
    key::{ApiKey, CreatedKey, NewKey},
    session::{CreatedSession, Session, SessionPrincipal},
};
use std::{future::Future, net::IpAddr};
use taffrail_model::{
    access::Principal, instance::Instance, stream::StreamNumber, tenant::TenantNumber,
    time::Timestamp,
};
use uuid::Uuid;

/// Domain data. Every method is one transaction: when it returns `Ok`, the change is durable.
pub trait Meta: Send + Sync + 'static {
    /// The id that the instance got when its database was made.
    fn instance_id(&self) -> Uuid;

    /// The value of a setting.
    fn setting(&self, name: &str)
    -> impl Future<Output = Result<Option<String>, MetaError>> + Send;

    /// Sets a setting.
    fn put_setting(
        &self,
        name: &str,
        value: &str,
    ) -> impl Future<Output = Result<(), MetaError>> + Send;

    /// Makes a tenant.
    ///
    /// # Errors
    /// `Exists`, `Invalid`.
    fn create_tenant(&self, name: &str) -> impl Future<Output = Result<Tenant, MetaError>> + Send;

    /// All tenants by number; `default` is number 1.
    fn tenants(&self) -> impl Future<Output = Result<Vec<Tenant>, MetaError>> + Send;

    /// The number of a stream of the configuration: assigned once, from 1,000 on.
    ///
    /// # Errors
    /// `StreamNumbersExhausted`.
    fn stream_number(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<StreamNumber, MetaError>> + Send;

    /// Names and numbers of all streams that ever got one.
    fn stream_numbers(
        &self,
    ) -> impl Future<Output = Result<Vec<(String, StreamNumber)>, MetaError>> + Send;

    /// Makes an account.
    ///
    /// # Errors
    /// `Exists`, `Invalid`, `NotFound` (a tenant).
    fn create_account(
        &self,
        new: NewAccount,
    ) -> impl Future<Output = Result<Account, MetaError>> + Send;

    /// Makes an admin of the default tenant, if there is no account yet; `None` if there is one.
    ///
    /// # Errors
    /// `Invalid`.
    fn create_first_admin(
        &self,
        name: &str,
        password: &str,
    ) -> impl Future<Output = Result<Option<Account>, MetaError>> + Send;

    /// An account by number.
    ///
    /// # Errors
    /// `NotFound`.
    fn account(&self, id: i64) -> impl Future<Output = Result<Account, MetaError>> + Send;

    /// An account by name, whatever the case.
    ///
    /// # Errors
    /// `NotFound`.
    fn account_by_name(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Account, MetaError>> + Send;

    /// Up to `limit` accounts whose number is above `after`, by number.
    fn accounts(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Account>, MetaError>> + Send;

    /// Changes an account, all of it or nothing. A new password, role or disabling ends its
    /// sessions.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, `LastAdmin`.
    fn change_account(
        &self,
        id: i64,
        change: AccountChange,
    ) -> impl Future<Output = Result<Account, MetaError>> + Send;

    /// Deletes an account with its keys and sessions.
    ///
    /// # Errors
    /// `NotFound`, `LastAdmin`.
    fn delete_account(&self, id: i64) -> impl Future<Output = Result<(), MetaError>> + Send;

    /// Checks name and password. Takes as long for a name that does not exist.
    ///
    /// # Errors
    /// `Wrong` also for a disabled account; `Throttled` after too many failures.
    fn authenticate(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> impl Future<Output = Result<Account, LoginError>> + Send;

    /// Begins a session of an account that [`Meta::authenticate`] returned. If its password or
    /// role changed since, the session has ended already.
    fn create_session(
        &self,
        account: &Account,
        address: Option<IpAddr>,
    ) -> impl Future<Output = Result<CreatedSession, MetaError>> + Send;

    /// Who a session token stands for now; `None` if the session is unknown, revoked, expired or
    /// ended by a change of its account.
    fn find_session(
        &self,
        token: &str,
    ) -> impl Future<Output = Result<Option<SessionPrincipal>, MetaError>> + Send;

    /// The sessions of an account that have not ended.
    fn sessions(
        &self,
        account: i64,
    ) -> impl Future<Output = Result<Vec<Session>, MetaError>> + Send;

    /// Ends a session.
    ///
    /// # Errors
    /// `NotFound`.
    fn revoke_session(&self, id: i64) -> impl Future<Output = Result<(), MetaError>> + Send;

    /// Removes sessions that ended more than a day ago; how many.
    fn purge_sessions(&self) -> impl Future<Output = Result<u64, MetaError>> + Send;

    /// Makes an API key. Its secret is there this once.
    ///
    /// # Errors
    /// `NotFound` (the account, or the instance of its scope), `Deleted` (the instance), `Invalid`.
    fn create_key(&self, new: NewKey)
    -> impl Future<Output = Result<CreatedKey, MetaError>> + Send;

    /// Who an API key stands for now; `None` if it is unknown, revoked or expired, or its account
    /// is disabled.
    fn find_key(
        &self,
        secret: &str,
    ) -> impl Future<Output = Result<Option<Principal>, MetaError>> + Send;

    /// A key by number.
    ///
    /// # Errors
    /// `NotFound`.
    fn key(&self, id: i64) -> impl Future<Output = Result<ApiKey, MetaError>> + Send;

    /// Up to `limit` keys whose number is above `after`, of one account or of all, by number.
    fn keys(
        &self,
        account: Option<i64>,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ApiKey>, MetaError>> + Send;

    /// Revokes a key; fine if it was.
    ///
    /// # Errors
    /// `NotFound`.
    fn revoke_key(&self, id: i64) -> impl Future<Output = Result<ApiKey, MetaError>> + Send;

    /// Up to `limit` keys of an instance whose number is above `after`, by number.
    fn instance_keys(
        &self,
        tenant: TenantNumber,
        id: &str,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ApiKey>, MetaError>> + Send;

    /// Makes an instance. Its id is unique in the tenant, deleted instances included.
    ///
    /// # Errors
    /// `Exists`, `Invalid`, `TooManyInstances`.
    fn create_instance(
        &self,
        new: NewInstance,
    ) -> impl Future<Output = Result<Instance, MetaError>> + Send;

    /// All instances by number, deleted ones too.
    fn instances(&self) -> impl Future<Output = Result<Vec<Instance>, MetaError>> + Send;

    /// Changes an instance.
    ///
    /// # Errors
    /// `NotFound`, `Deleted`, `Invalid`.
    fn change_instance(
        &self,
        number: i64,
        change: InstanceChange,
    ) -> impl Future<Output = Result<ChangedInstance, MetaError>> + Send;

    /// Marks an instance as deleted and revokes its keys; fine if it was.
    ///
    /// # Errors
    /// `NotFound`.
    fn delete_instance(
        &self,
        number: i64,
    ) -> impl Future<Output = Result<ChangedInstance, MetaError>> + Send;

    /// Removes the instances that were deleted before a time; their numbers. Their ids can be
    /// given again.
    fn purge_instances(
        &self,
        deleted_before: Timestamp,
    ) -> impl Future<Output = Result<Vec<i64>, MetaError>> + Send;

    /// Writes what is pending and closes the connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
