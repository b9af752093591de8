//! Instances in SQLite, and the keys that are bound to them.
use super::{SqliteMeta, commit, doing, get, not_found, tenant_number, write_key};
use crate::{
    error::MetaError,
    instance::{
        ChangedInstance, INSTANCES_PER_TENANT_MAX, InstanceChange, NewInstance, check_instance,
        check_service,
    },
    key::ApiKey,
    row_checksum::Field,
    secret::random_bytes,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;
use taffrail_model::{
    access::Scope,
    instance::{Instance, InstanceStatus},
    tenant::TenantNumber,
    time::Timestamp,
};

const TABLE: &str = "mcp_instances";

impl SqliteMeta {
    pub(super) async fn insert_instance(&self, new: NewInstance) -> Result<Instance, MetaError> {
        check_instance(&new)?;
        let id = match new.id {
            Some(id) => id,
            None => {
                let id = uuid::Builder::from_random_bytes(random_bytes()?).into_uuid();
                id.to_string()
            }
        };
        let mut transaction = self.begin().await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM mcp_instances WHERE tenant = ?")
            .bind(i64::from(new.tenant.0))
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing("count the instances"))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= INSTANCES_PER_TENANT_MAX {
            return Err(MetaError::TooManyInstances);
        }
        let now = self.clock.now();
        let mut instance = Instance {
            number: 0,
            tenant: new.tenant,
            id: id.as_str().into(),
            user_id: new.user_id.as_str().into(),
            service: new.service.as_deref().map(Arc::from),
            status: new.status,
            created: now,
            changed: now,
            deleted: None,
        };
        let row = sqlx::query(
            "INSERT INTO mcp_instances (tenant, id, user_id, service, status, created, changed,
                                        checksum)
             SELECT number, ?, ?, ?, ?, ?, ?, zeroblob(32) FROM tenants WHERE number = ?
             ON CONFLICT DO NOTHING RETURNING number",
        )
        .bind(&id)
        .bind(&new.user_id)
        .bind(&new.service)
        .bind(instance.status.name())
        .bind(now.0)
        .bind(now.0)
        .bind(i64::from(new.tenant.0))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(doing("insert an instance"))?;
        let Some(row) = row else {
            return Err(MetaError::Exists {
                what: "instance",
                name: id,
            });
        };
        instance.number = row.try_get(0).map_err(doing("insert an instance"))?;
        self.write_instance(&mut transaction, &instance).await?;
        commit(transaction).await?;
        Ok(instance)
    }

    pub(super) async fn all_instances(&self) -> Result<Vec<Instance>, MetaError> {
        sqlx::query("SELECT * FROM mcp_instances ORDER BY number")
            .fetch_all(&self.readers)
            .await
            .map_err(doing("read the instances"))?
            .iter()
            .map(|row| self.instance_of(row))
            .collect()
    }

    pub(super) async fn update_instance(
        &self,
        number: i64,
        change: InstanceChange,
    ) -> Result<ChangedInstance, MetaError> {
        if let Some(service) = &change.service {
            check_service(service.as_deref())?;
        }
        let mut transaction = self.begin().await?;
        let before = self.read_instance(&mut transaction, number).await?;
        if before.deleted.is_some() {
            return Err(MetaError::Deleted {
                what: "instance",
                id: before.id.to_string(),
            });
        }
        let mut after = before.clone();
        after.status = change.status.unwrap_or(after.status);
        if let Some(service) = change.service {
            after.service = service.as_deref().map(Arc::from);
        }
        if after != before {
            after.changed = self.clock.now();
            self.write_instance(&mut transaction, &after).await?;
        }
        commit(transaction).await?;
        Ok(changed(before, after))
    }

    pub(super) async fn mark_instance_deleted(
        &self,
        number: i64,
    ) -> Result<ChangedInstance, MetaError> {
        let mut transaction = self.begin().await?;
        let before = self.read_instance(&mut transaction, number).await?;
        let mut after = before.clone();
        if before.deleted.is_none() {
            let now = self.clock.now();
            after.deleted = Some(now);
            after.changed = now;
            self.write_instance(&mut transaction, &after).await?;
            self.revoke_keys_of(&mut transaction, &after, now).await?;
        }
        commit(transaction).await?;
        Ok(changed(before, after))
    }

    pub(super) async fn remove_deleted_instances(
        &self,
        before: Timestamp,
    ) -> Result<Vec<i64>, MetaError> {
        sqlx::query_scalar("DELETE FROM mcp_instances WHERE deleted < ? RETURNING number")
            .bind(before.0)
            .fetch_all(&self.writer)
            .await
            .map_err(doing("remove deleted instances"))
    }

    pub(super) async fn keys_of_instance(
        &self,
        tenant: TenantNumber,
        id: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        sqlx::query(
            "SELECT * FROM api_keys
             WHERE id > ? AND scope ->> '$.scope' = 'instance' AND scope ->> '$.tenant' = ?
               AND scope ->> '$.instance' = ?
             ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(i64::from(tenant.0))
        .bind(id.to_owned())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(doing("list the keys of an instance"))?
        .iter()
        .map(|row| self.key_of(row).map(|stored| stored.key))
        .collect()
    }

    /// Fails unless a key of this scope may be made: an instance that it is for must be there.
    pub(super) async fn check_scope(
        &self,
        transaction: &mut SqliteConnection,
        scope: &Scope,
    ) -> Result<(), MetaError> {
        let Scope::Instance { tenant, instance } = scope else {
            return Ok(());
        };
        let row = sqlx::query("SELECT * FROM mcp_instances WHERE tenant = ? AND id = ?")
            .bind(i64::from(tenant.0))
            .bind(instance.clone())
            .fetch_optional(transaction)
            .await
            .map_err(doing("read an instance"))?;
        let found = row.map(|row| self.instance_of(&row)).transpose()?;
        match found {
            Some(found) if found.deleted.is_none() => Ok(()),
            Some(_) => Err(MetaError::Deleted {
                what: "instance",
                id: instance.clone(),
            }),
            None => Err(not_found("instance", instance)),
        }
    }

    async fn revoke_keys_of(
        &self,
        transaction: &mut SqliteConnection,
        instance: &Instance,
        now: Timestamp,
    ) -> Result<(), MetaError> {
        let rows = sqlx::query(
            "SELECT * FROM api_keys
             WHERE revoked IS NULL AND scope ->> '$.scope' = 'instance'
               AND scope ->> '$.tenant' = ? AND scope ->> '$.instance' = ?",
        )
        .bind(i64::from(instance.tenant.0))
        .bind(instance.id.to_string())
        .fetch_all(&mut *transaction)
        .await
        .map_err(doing("read the keys of an instance"))?;
        for row in &rows {
            let mut stored = self.key_of(row)?;
            stored.key.revoked = Some(now);
            write_key(transaction, &stored, &self.row_key).await?;
        }
        Ok(())
    }

    async fn read_instance(
        &self,
        connection: &mut SqliteConnection,
        number: i64,
    ) -> Result<Instance, MetaError> {
        let row = sqlx::query("SELECT * FROM mcp_instances WHERE number = ?")
            .bind(number)
            .fetch_optional(connection)
            .await
            .map_err(doing("read an instance"))?;
        match row {
            Some(row) => self.instance_of(&row),
            None => Err(not_found("instance", number)),
        }
    }

    async fn write_instance(
        &self,
        transaction: &mut SqliteConnection,
        instance: &Instance,
    ) -> Result<(), MetaError> {
        sqlx::query(
            "UPDATE mcp_instances SET service = ?, status = ?, changed = ?, deleted = ?,
                                      checksum = ? WHERE number = ?",
        )
        .bind(instance.service.as_deref())
        .bind(instance.status.name())
        .bind(instance.changed.0)
        .bind(instance.deleted.map(|time| time.0))
        .bind(self.row_key.sign(TABLE, &fields(instance)))
        .bind(instance.number)
        .execute(transaction)
        .await
        .map_err(doing("write an instance"))?;
        Ok(())
    }

    fn instance_of(&self, row: &SqliteRow) -> Result<Instance, MetaError> {
        let number: i64 = get(row, "number")?;
        let status: String = get(row, "status")?;
        let text = |name| get::<String>(row, name).map(Arc::<str>::from);
        let instance = Instance {
            number,
            tenant: tenant_number(get(row, "tenant")?)?,
            id: text("id")?,
            user_id: text("user_id")?,
            service: get::<Option<String>>(row, "service")?.map(Arc::from),
            status: InstanceStatus::from_name(&status).ok_or(MetaError::Row {
                table: TABLE,
                id: number,
                detail: "status is unknown",
            })?,
            created: Timestamp(get(row, "created")?),
            changed: Timestamp(get(row, "changed")?),
            deleted: get::<Option<i64>>(row, "deleted")?.map(Timestamp),
        };
        let checksum: Vec<u8> = get(row, "checksum")?;
        self.row_key
            .verify(TABLE, number, &fields(&instance), &checksum)?;
        Ok(instance)
    }
}

fn changed(before: Instance, after: Instance) -> ChangedInstance {
    ChangedInstance {
        before: Arc::new(before),
        after: Arc::new(after),
    }
}

fn fields(instance: &Instance) -> [Field<'_>; 9] {
    [
        Field::Integer(instance.number),
        Field::Integer(i64::from(instance.tenant.0)),
        Field::Text(&instance.id),
        Field::Text(&instance.user_id),
        instance.service.as_deref().map_or(Field::Null, Field::Text),
        Field::Text(instance.status.name()),
        Field::Integer(instance.created.0),
        Field::Integer(instance.changed.0),
        instance.deleted.map(|time| time.0).into(),
    ]
}
