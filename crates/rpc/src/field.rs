//! How fields of the contracts read: what is wrong names the field.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use dunghan_proto::policy::ErrorReason;
use dunghan_proto::r#type::{Date, Decimal};
use prost_types::Timestamp;
use tonic::Status;
use uuid::Uuid;

use crate::{bad_field, bad_field_for};

/// A field that has to be there.
///
/// Errors: INVALID_ARGUMENT (REQUIRED_FIELD_MISSING).
pub fn required<T>(field: &str, value: Option<T>) -> Result<T, Status> {
    value.ok_or_else(|| bad_field_for(ErrorReason::RequiredFieldMissing, field, "is missing"))
}

/// A text that has to be there and may not be longer than `most` bytes.
///
/// Errors: INVALID_ARGUMENT (REQUIRED_FIELD_MISSING, INVALID_FIELD).
pub fn text(field: &str, value: &str, most: usize) -> Result<String, Status> {
    let value = value.trim();
    if value.is_empty() {
        return Err(bad_field_for(ErrorReason::RequiredFieldMissing, field, "is missing"));
    }
    optional_text(field, value, most)
}

/// A text that may be empty, and may not be longer than `most` bytes.
///
/// Errors: INVALID_ARGUMENT (INVALID_FIELD); also for a NUL, which PostgreSQL keeps in no text.
pub fn optional_text(field: &str, value: &str, most: usize) -> Result<String, Status> {
    let value = value.trim();
    if value.len() > most {
        return Err(bad_field(field, format!("must not be longer than {most} bytes")));
    }
    if value.contains('\0') {
        return Err(bad_field(field, "must not have the character U+0000 in it"));
    }
    Ok(value.to_owned())
}

/// A civil date.
///
/// Errors: INVALID_ARGUMENT for a day that does not exist, or lies outside 1900 to 2200.
pub fn date(field: &str, value: Option<&Date>) -> Result<Option<NaiveDate>, Status> {
    let Some(value) = value else { return Ok(None) };
    let date = u32::try_from(value.month)
        .ok()
        .zip(u32::try_from(value.day).ok())
        .and_then(|(month, day)| NaiveDate::from_ymd_opt(value.year, month, day))
        .filter(|date| (1900..=2200).contains(&date.year()));
    date.map(Some).ok_or_else(|| {
        let Date { year, month, day } = value;
        bad_field(field, format!("is no date from 1900 to 2200: {year}-{month}-{day}"))
    })
}

/// An instant, to the microsecond.
///
/// Errors: INVALID_ARGUMENT for one that does not exist, or lies outside 1900 to 2200.
pub fn instant(field: &str, value: Option<&Timestamp>) -> Result<Option<DateTime<Utc>>, Status> {
    let Some(value) = value else { return Ok(None) };
    let instant = u32::try_from(value.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(value.seconds, nanos))
        .filter(|instant| (1900..=2200).contains(&instant.year()))
        .and_then(|instant| DateTime::from_timestamp_micros(instant.timestamp_micros()));
    instant.map(Some).ok_or_else(|| bad_field(field, "is no time from 1900 to 2200"))
}

/// The id of a request that may be repeated.
///
/// Errors: INVALID_ARGUMENT for what is not a UUID of version 4.
pub fn request_id(value: &str) -> Result<Option<Uuid>, Status> {
    if value.is_empty() {
        return Ok(None);
    }
    match value.parse::<Uuid>() {
        Ok(id) if id.get_version_num() == 4 => Ok(Some(id)),
        _ => Err(bad_field("request_id", "must be a UUID of version 4")),
    }
}

/// As the contracts write a civil date.
pub fn pb_date(date: NaiveDate) -> Date {
    Date { year: date.year(), month: date.month().cast_signed(), day: date.day().cast_signed() }
}

/// As the contracts write an instant.
pub fn pb_time(instant: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: instant.timestamp(),
        nanos: instant.timestamp_subsec_nanos().cast_signed(),
    }
}

/// As the contracts write a decimal.
pub fn pb_decimal(value: rust_decimal::Decimal) -> Decimal {
    Decimal { value: value.to_string() }
}
