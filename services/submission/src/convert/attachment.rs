//! pb ⇄ domain: attachments.

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::submission::upload_attachment_request::Header;
use dunghan_rpc::field;
use tonic::Status;

use crate::blobs::Announced;
use crate::domain::attachment::{
    Attachment, AttachmentName, BadFileName, LARGEST, file_name, name_bears_secrecy,
};
use crate::domain::report::ReportName;
use crate::error::{FILE_NAME, Problems, SECRECY, bad, secret};

/// What the header of an upload says.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) report: ReportName,
    pub(crate) file_name: String,
    pub(crate) announced: Announced,
}

/// Errors: INVALID_ARGUMENT, with all that is wrong; SECRECY_REFUSED alone.
pub(crate) fn upload(header: &Header) -> Result<Upload, Status> {
    let mut problems = Problems::default();
    let report = header.parent.parse::<ReportName>();
    if let Err(error) = &report {
        problems.add("header.parent", Common::InvalidField, error);
    }
    let name = file_name(&header.file_name);
    if let Err(error) = name {
        let why = match error {
            BadFileName::Missing => Common::RequiredFieldMissing.into(),
            BadFileName::TooLong => crate::error::Why::Own(ErrorReason::TooLong),
            BadFileName::Folder | BadFileName::Control => Common::InvalidField.into(),
        };
        problems.add(FILE_NAME, why, error);
    }
    const SIZE: &str = "header.size_bytes";
    let size = u64::try_from(header.size_bytes).ok().filter(|size| *size > 0);
    match size {
        None => problems.add(SIZE, Common::InvalidField, "must be 1 at least"),
        Some(size) if size > LARGEST => {
            let says = format!("must not be more than {} MiB", LARGEST >> 20);
            problems.add(SIZE, ErrorReason::AttachmentTooLarge, says);
        }
        Some(_) => {}
    }
    let sha256 = header.sha256.to_ascii_lowercase();
    if sha256.is_empty() {
        problems.add("header.sha256", Common::RequiredFieldMissing, "is missing");
    } else if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        problems.add("header.sha256", Common::InvalidField, "must be 64 hexadecimal digits");
    }
    problems.refused()?;
    const REPORT: &str = "header.parent";
    let report = field::required(REPORT, report.ok())?;
    let file_name = field::required(FILE_NAME, name.ok())?;
    if !header.secrecy_level.trim().is_empty() {
        return Err(secret(SECRECY, "says that the document bears a level of secrecy"));
    }
    if name_bears_secrecy(&file_name) {
        return Err(secret(FILE_NAME, "says that the document bears a level of secrecy"));
    }
    let size = field::required(SIZE, size)?;
    Ok(Upload { report, file_name, announced: Announced { size, sha256 } })
}

/// The attachment of a field that holds its name.
pub(crate) fn attachment_name(field: &str, name: &str) -> Result<AttachmentName, Status> {
    name.parse().map_err(|e| bad(field, Common::InvalidField, e))
}

impl From<&Attachment> for pb::Attachment {
    fn from(attachment: &Attachment) -> Self {
        let erasure = attachment.erasure.as_ref();
        Self {
            name: attachment.name().to_string(),
            file_name: attachment.file.file_name.clone(),
            media_type: attachment.media_type.clone(),
            size_bytes: attachment.file.size.cast_signed(),
            sha256: attachment.file.sha256.clone(),
            create_time: Some(field::pb_time(attachment.create_time)),
            author: attachment.author.clone(),
            detach_time: attachment.detach_time.map(field::pb_time),
            erase_time: erasure.map(|erasure| field::pb_time(erasure.at)),
            eraser: erasure.map(|erasure| erasure.author.clone()).unwrap_or_default(),
            erase_reason: erasure.map(|erasure| erasure.reason.clone()).unwrap_or_default(),
        }
    }
}
