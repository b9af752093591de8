//! The database of the configuration, as one type: what the rest of the product holds.
use crate::{
    account::{Account, AccountChange, NewAccount, Tenant},
    contract::Meta,
    error::{LoginError, MetaError},
    instance::{ChangedInstance, InstanceChange, NewInstance},
    key::{ApiKey, CreatedKey, NewKey},
    session::{CreatedSession, Session, SessionPrincipal},
    sqlite::SqliteMeta,
};
use std::net::IpAddr;
use taffrail_model::{
    access::Principal, instance::Instance, stream::StreamNumber, tenant::TenantNumber,
    time::Timestamp,
};
use uuid::Uuid;

/// One of the databases. A further one is a variant here, and the compiler says where.
pub enum AnyMeta {
    /// Embedded.
    Sqlite(SqliteMeta),
}

impl From<SqliteMeta> for AnyMeta {
    fn from(meta: SqliteMeta) -> AnyMeta {
        AnyMeta::Sqlite(meta)
    }
}

impl Meta for AnyMeta {
    fn instance_id(&self) -> Uuid {
        match self {
            AnyMeta::Sqlite(meta) => meta.instance_id(),
        }
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.setting(name).await,
        }
    }

    async fn put_setting(&self, name: &str, value: &str) -> Result<(), MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.put_setting(name, value).await,
        }
    }

    async fn create_tenant(&self, name: &str) -> Result<Tenant, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_tenant(name).await,
        }
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.tenants().await,
        }
    }

    async fn stream_number(&self, name: &str) -> Result<StreamNumber, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.stream_number(name).await,
        }
    }

    async fn stream_numbers(&self) -> Result<Vec<(String, StreamNumber)>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.stream_numbers().await,
        }
    }

    async fn create_account(&self, new: NewAccount) -> Result<Account, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_account(new).await,
        }
    }

    async fn create_first_admin(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<Account>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_first_admin(name, password).await,
        }
    }

    async fn account(&self, id: i64) -> Result<Account, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.account(id).await,
        }
    }

    async fn account_by_name(&self, name: &str) -> Result<Account, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.account_by_name(name).await,
        }
    }

    async fn accounts(&self, after: i64, limit: usize) -> Result<Vec<Account>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.accounts(after, limit).await,
        }
    }

    async fn change_account(&self, id: i64, change: AccountChange) -> Result<Account, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.change_account(id, change).await,
        }
    }

    async fn delete_account(&self, id: i64) -> Result<(), MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.delete_account(id).await,
        }
    }

    async fn authenticate(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Account, LoginError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.authenticate(name, password, address).await,
        }
    }

    async fn create_session(
        &self,
        account: &Account,
        address: Option<IpAddr>,
    ) -> Result<CreatedSession, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_session(account, address).await,
        }
    }

    async fn find_session(&self, token: &str) -> Result<Option<SessionPrincipal>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.find_session(token).await,
        }
    }

    async fn sessions(&self, account: i64) -> Result<Vec<Session>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.sessions(account).await,
        }
    }

    async fn revoke_session(&self, id: i64) -> Result<(), MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.revoke_session(id).await,
        }
    }

    async fn purge_sessions(&self) -> Result<u64, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.purge_sessions().await,
        }
    }

    async fn create_key(&self, new: NewKey) -> Result<CreatedKey, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_key(new).await,
        }
    }

    async fn find_key(&self, secret: &str) -> Result<Option<Principal>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.find_key(secret).await,
        }
    }

    async fn key(&self, id: i64) -> Result<ApiKey, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.key(id).await,
        }
    }

    async fn keys(
        &self,
        account: Option<i64>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.keys(account, after, limit).await,
        }
    }

    async fn revoke_key(&self, id: i64) -> Result<ApiKey, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.revoke_key(id).await,
        }
    }

    async fn instance_keys(
        &self,
        tenant: TenantNumber,
        id: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.instance_keys(tenant, id, after, limit).await,
        }
    }

    async fn create_instance(&self, new: NewInstance) -> Result<Instance, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.create_instance(new).await,
        }
    }

    async fn instances(&self) -> Result<Vec<Instance>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.instances().await,
        }
    }

    async fn change_instance(
        &self,
        number: i64,
        change: InstanceChange,
    ) -> Result<ChangedInstance, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.change_instance(number, change).await,
        }
    }

    async fn delete_instance(&self, number: i64) -> Result<ChangedInstance, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.delete_instance(number).await,
        }
    }

    async fn purge_instances(&self, deleted_before: Timestamp) -> Result<Vec<i64>, MetaError> {
        match self {
            AnyMeta::Sqlite(meta) => meta.purge_instances(deleted_before).await,
        }
    }

    async fn close(&self) {
        match self {
            AnyMeta::Sqlite(meta) => meta.close().await,
        }
    }
}
