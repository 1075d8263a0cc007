//! The same request_id gets the same answer (AIP-155): the answer is written in the transaction that did the work.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Database, Write};

/// Longer than the 24 hours that the contracts promise.
const KEPT_FOR: TimeDelta = TimeDelta::hours(48);
/// How often a process forgets answers, at most: often enough that there are few to forget.
const FORGET_EVERY: TimeDelta = TimeDelta::seconds(1);

/// Which request this is. Two callers may use the same id.
#[derive(Clone, Debug)]
pub struct RequestKey {
    principal: String,
    method: &'static str,
    id: Uuid,
    hash: Vec<u8>,
}

impl RequestKey {
    /// The request `id` of `principal` for `method`, whose content is `request`.
    pub fn new(
        principal: &str,
        method: &'static str,
        id: Uuid,
        request: &impl prost::Message,
    ) -> Self {
        let hash = Sha256::digest(request.encode_to_vec()).to_vec();
        Self { principal: principal.to_owned(), method, id, hash }
    }

    /// The request `id` of `principal` for `method`, whose content came in `parts`.
    pub fn in_parts<'a>(
        principal: &str,
        method: &'static str,
        id: Uuid,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length, lest what is cut elsewhere be the same.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize().to_vec();
        Self { principal: principal.to_owned(), method, id, hash }
    }
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered<T> {
    /// It never came.
    No,
    /// It came and was answered so.
    Yes(T),
    /// Its id came with another content.
    Reused,
}

impl Database {
    /// What was answered to this request.
    pub async fn answered<T: prost::Message + Default>(
        &self,
        key: &RequestKey,
    ) -> Result<Answered<T>, DbErr> {
        answered(self.reader(), key).await
    }
}

impl Write<'_> {
    /// What was answered to this request, as of this transaction.
    pub async fn answered<T: prost::Message + Default>(
        &self,
        key: &RequestKey,
    ) -> Result<Answered<T>, DbErr> {
        answered(self.transaction, key).await
    }

    /// Keeps the answer. Fails on the primary key when the same request is being answered elsewhere: the caller's
    /// transaction comes to nothing, and asking again finds that answer.
    pub async fn answer(
        &self,
        key: &RequestKey,
        response: &impl prost::Message,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        self.forget(now).await?;
        let engine = self.transaction.get_database_backend();
        let values: [Value; 6] = [
            key.principal.as_str().into(),
            key.method.into(),
            key.id.into(),
            key.hash.clone().into(),
            response.encode_to_vec().into(),
            (now + KEPT_FOR).timestamp_micros().into(),
        ];
        let keep = Statement::from_sql_and_values(
            engine,
            "INSERT INTO request_log (principal, method, request_id, request_hash, response, expire_us) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            values,
        );
        self.transaction.execute_raw(keep).await?;
        Ok(())
    }

    /// Forgets what nobody may ask for any more, unless this process has just done that.
    async fn forget(&self, now: DateTime<Utc>) -> Result<(), DbErr> {
        let now = now.timestamp_micros();
        let forgot = self.forgot_us.load(Ordering::Relaxed);
        if TimeDelta::microseconds(now.saturating_sub(forgot)).abs() < FORGET_EVERY {
            return Ok(());
        }
        // Two that come at once may both do it.
        self.forgot_us.store(now, Ordering::Relaxed);
        let engine = self.transaction.get_database_backend();
        let sql = "DELETE FROM request_log WHERE expire_us < $1";
        let forget = Statement::from_sql_and_values(engine, sql, [now.into()]);
        self.transaction.execute_raw(forget).await?;
        Ok(())
    }
}

async fn answered<T: prost::Message + Default>(
    connection: &impl ConnectionTrait,
    key: &RequestKey,
) -> Result<Answered<T>, DbErr> {
    let sql = "SELECT request_hash, response FROM request_log \
               WHERE principal = $1 AND method = $2 AND request_id = $3";
    let values: [Value; 3] = [key.principal.as_str().into(), key.method.into(), key.id.into()];
    let engine = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(engine, sql, values);
    let Some(row) = connection.query_one_raw(statement).await? else {
        return Ok(Answered::No);
    };
    let hash: Vec<u8> = row.try_get_by_index(0)?;
    if hash != key.hash {
        return Ok(Answered::Reused);
    }
    let response: Vec<u8> = row.try_get_by_index(1)?;
    let response =
        T::decode(response.as_slice()).map_err(|e| DbErr::Custom(format!("request_log: {e}")))?;
    Ok(Answered::Yes(response))
}
