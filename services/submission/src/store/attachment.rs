//! Attachments kept and found: each change of what is on a report together with the report's own.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use dunghan_store::Write;
use sea_orm::Condition;
use uuid::Uuid;

use super::attachment_row as attachments;
use super::{Error, Reply, Store, answer, row};
use crate::domain::attachment::{Attachment, AttachmentName, Erasure};
use crate::domain::report::{Report, ReportName, Stage};

/// Writes the files of a report over those of the one that it was made from, whose row nobody else changes meanwhile.
async fn overwrite(write: &Write<'_>, report: &Report) -> Result<(), Error> {
    let (name, from, row) = (report.name, report.version - 1, row::files_alone(report)?);
    let over = [Stage::Draft, Stage::Returned];
    match row::overwrite(write, name, row, from, &over, Condition::all()).await? {
        true => Ok(()),
        false => Err(Error::Stale(name)),
    }
}

impl Store {
    /// Puts a file on its report, as that is by now. Its blob is there.
    ///
    /// Errors: `NotFound`, `NotAttached`.
    pub async fn attachment_insert<M: prost::Message>(
        &self,
        attachment: &Attachment,
        reply: Option<Reply<'_, M>>,
    ) -> Result<(), Error> {
        let (name, now) = (attachment.report, attachment.create_time);
        self.database
            .write(async |write| {
                let report = row::fetch_to_change(write, name).await?;
                let report = report.ok_or(Error::NotFound(name))?;
                let report = report.attach(attachment.file.clone(), now)?;
                overwrite(write, &report).await?;
                attachments::insert(write, attachment, report.version).await?;
                answer(write, reply, now).await
            })
            .await
    }

    /// One attachment.
    ///
    /// Errors: `NoAttachment`.
    pub async fn attachment_fetch(&self, name: AttachmentName) -> Result<Attachment, Error> {
        attachments::fetch(self.database.reader(), name).await
    }

    /// Up to `limit` attachments of a report that there is, the first taken in first: each with the version that the report had
    /// once it was on it, and those alone whose versions come after one.
    pub async fn attachment_page(
        &self,
        report: ReportName,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Attachment)>, Error> {
        attachments::page(self.database.reader(), report, after, limit).await
    }

    /// Takes a file off its report. What was taken off before stays as it is, whatever became of the report.
    ///
    /// Errors: `NoAttachment`, `AlreadySubmitted`.
    pub async fn attachment_detach(
        &self,
        name: AttachmentName,
        now: DateTime<Utc>,
    ) -> Result<Attachment, Error> {
        self.database
            .write(async |write| {
                let report = row::fetch_to_change(write, name.report).await?;
                let report = report.ok_or(Error::NoAttachment(name))?;
                let found = attachments::fetch(&**write, name).await?;
                if found.detach_time.is_some() {
                    return Ok(found);
                }
                let report = report.detach(name.attachment, now)?;
                overwrite(write, &report).await?;
                attachments::detach(write, name.attachment, report.version, now).await?;
                attachments::fetch(&**write, name).await
            })
            .await
    }

    /// Notes that what a file held is erased: from now on it is given to nobody, and its blob is to go. What was erased before
    /// stays as it is.
    ///
    /// Errors: `NoAttachment`.
    pub async fn attachment_erase(
        &self,
        name: AttachmentName,
        erasure: &Erasure,
    ) -> Result<Attachment, Error> {
        self.database
            .write(async |write| {
                attachments::fetch(&**write, name).await?;
                attachments::erase(write, name.attachment, erasure).await?;
                attachments::fetch(&**write, name).await
            })
            .await
    }

    /// Up to `limit` of the files that are erased and whose blobs may be there, in the order of their ids, after one.
    pub async fn attachment_to_erase(
        &self,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Uuid>, Error> {
        Ok(attachments::to_erase(self.database.reader(), after, limit).await?)
    }

    /// How many files are erased whose blobs may be there.
    pub async fn attachment_erasures_due(&self) -> Result<u64, Error> {
        Ok(attachments::erasures_due(self.database.reader()).await?)
    }

    /// Notes that the blob of an erased file is gone. False: it was noted before.
    pub async fn attachment_erased(&self, id: Uuid) -> Result<bool, Error> {
        Ok(self.database.write(async |write| attachments::erased(write, id).await).await?)
    }

    /// Forgets the files that were taken off before a moment and were in no revision: no row knows their blobs any more. Gives
    /// how many.
    pub async fn attachment_forget(&self, before: DateTime<Utc>) -> Result<u64, Error> {
        Ok(self.database.write(async |write| attachments::forget(write, before).await).await?)
    }

    /// Those of these blobs that a row knows.
    pub async fn attachment_known(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
        Ok(attachments::known(self.database.reader(), ids).await?)
    }
}
