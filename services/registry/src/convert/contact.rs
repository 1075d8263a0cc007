//! Contacts as the contract has them ⇄ as the domain does.

use chrono::{DateTime, NaiveDate, Utc};
use dunghan_calendar::zone;
use dunghan_hierarchy::{UnitHistory, Validity};
use dunghan_proto::registry as pb;
use dunghan_rpc::{bad_field, field};
use tonic::Status;
use uuid::Uuid;

use super::{LONGEST_NAME, LONGEST_REASON, line, through, unit_name};
use crate::domain::contact::{Contact, ContactName, ContactRole};

/// Of an address, by RFC 5321.
const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_LABEL: usize = 63;
/// Of a number with what people write between its digits.
const LONGEST_PHONE: usize = 40;
/// From 113 to the longest that E.164 allows.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 3..=15;

/// The contact to add.
pub(crate) fn new_contact(
    request: pb::CreateContactRequest,
    creator: &str,
    now: DateTime<Utc>,
) -> Result<Contact, Status> {
    let unit = unit_name("parent", &request.parent)?;
    let contact = field::required("contact", request.contact)?;
    let role = field::required("contact.role", role(contact.role()))?;
    let display_name = line("contact.display_name", &contact.display_name, LONGEST_NAME)?;
    let email = field::optional_text("contact.email", &contact.email, LONGEST_EMAIL)?;
    if !email.is_empty() && !is_email(&email) {
        let why = "is no address of e-mail, such as vanphong@xa.example.vn";
        return Err(bad_field("contact.email", why));
    }
    let phone = field::optional_text("contact.phone", &contact.phone, LONGEST_PHONE)?;
    if !phone.is_empty() && !is_phone(&phone) {
        let why = "is no number of a telephone, such as 0222 3822 500 or +84 222 3822 500";
        return Err(bad_field("contact.phone", why));
    }
    let subject = match contact.subject.trim() {
        "" => String::new(),
        subject => line("contact.subject", subject, LONGEST_NAME)?,
    };
    let from = field::date("contact.valid_from_date", contact.valid_from_date.as_ref())?;
    let from = from.unwrap_or_else(|| zone::civil_date(now));
    let until =
        through("contact.valid_through_date", contact.valid_through_date.as_ref(), Some(from))?;
    Ok(Contact {
        name: ContactName { unit, contact: Uuid::now_v7() },
        role,
        display_name,
        email,
        phone,
        subject,
        from,
        until,
        creator: creator.to_owned(),
        create_time: now,
        ending: None,
    })
}

/// How a contact is to end.
pub(crate) struct ToEnd {
    pub(crate) name: ContactName,
    pub(crate) last_day: Option<NaiveDate>,
    pub(crate) reason: String,
}

pub(crate) fn to_end(request: &pb::EndContactRequest) -> Result<ToEnd, Status> {
    let name = field::text("name", &request.name, LONGEST_NAME)?;
    let name = name.parse().map_err(|e| bad_field("name", e))?;
    let last_day = field::date("valid_through_date", request.valid_through_date.as_ref())?;
    Ok(ToEnd { name, last_day, reason: field::text("reason", &request.reason, LONGEST_REASON)? })
}

/// The roles asked for, each once.
pub(crate) fn roles(roles: &[i32]) -> Result<Vec<ContactRole>, Status> {
    let read = |number: &i32| {
        let known = pb::ContactRole::try_from(*number).ok().and_then(role);
        let why = || format!("has a role that there is not: {number}");
        known.ok_or_else(|| bad_field("roles", why()))
    };
    let mut roles = roles.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

fn role(role: pb::ContactRole) -> Option<ContactRole> {
    match role {
        pb::ContactRole::Unspecified => None,
        pb::ContactRole::Reporter => Some(ContactRole::Reporter),
        pb::ContactRole::Head => Some(ContactRole::Head),
        pb::ContactRole::Supervisor => Some(ContactRole::Supervisor),
    }
}

fn pb_role(role: ContactRole) -> pb::ContactRole {
    match role {
        ContactRole::Reporter => pb::ContactRole::Reporter,
        ContactRole::Head => pb::ContactRole::Head,
        ContactRole::Supervisor => pb::ContactRole::Supervisor,
    }
}

/// A contact as the contract has it, by the history of its unit, with which it ends.
pub(crate) fn contact(contact: &Contact, unit: Option<&UnitHistory>) -> pb::Contact {
    let stated = Validity { from: Some(contact.from), until: contact.until };
    // Where a correction took the unit's day back, what was stated is all that there is.
    let in_force = unit.map(|unit| contact.in_force(unit)).filter(|one| !one.is_empty());
    let ending = contact.ending.as_ref();
    pb::Contact {
        name: contact.name.to_string(),
        role: pb_role(contact.role).into(),
        display_name: contact.display_name.clone(),
        email: contact.email.clone(),
        phone: contact.phone.clone(),
        subject: contact.subject.clone(),
        valid_from_date: Some(field::pb_date(contact.from)),
        valid_through_date: in_force.unwrap_or(stated).last_day().map(field::pb_date),
        creator: contact.creator.clone(),
        create_time: Some(field::pb_time(contact.create_time)),
        ender: ending.map(|ending| ending.by.clone()).unwrap_or_default(),
        end_time: ending.map(|ending| field::pb_time(ending.at)),
        end_reason: ending.map(|ending| ending.reason.clone()).unwrap_or_default(),
    }
}

/// What every server that offices here use takes: letters of ASCII, a domain of two labels at the least.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let in_local = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&byte);
    let local_reads = local.len() <= LONGEST_LOCAL_PART
        && local.bytes().all(in_local)
        && local.split('.').all(|part| !part.is_empty());
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    local_reads && domain.contains('.') && domain.split('.').all(is_label)
}

/// Digits with what people write between them; a plus in front at the most.
fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    PHONE_DIGITS.contains(&digits)
        && rest.bytes().all(|byte| byte.is_ascii_digit() || b" .-()".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_e_mail_has_a_local_part_and_a_domain_of_two_labels() {
        for good in [
            "vanphong@xa.example.vn",
            "ubnd.tri-qua+bao_cao@bacninh.example.vn",
            "a@b.vn",
            "1022@24.example",
        ] {
            assert!(is_email(good), "{good}");
        }
        let (long_local, long_label) = ("a".repeat(65), "a".repeat(64));
        for bad in [
            "vanphong",
            "@xa.example.vn",
            "vanphong@",
            "vanphong@localhost",
            "van phong@xa.example.vn",
            "vanphong@xa..example.vn",
            "vanphong@-xa.example.vn",
            "vanphong@xa-.example.vn",
            ".vanphong@xa.example.vn",
            "van..phong@xa.example.vn",
            "văn.phòng@xa.example.vn",
            "a@b@xa.example.vn",
            "a@xa.example.vn, b@xa.example.vn",
            "<a@xa.example.vn>",
            "a@xa.example.vn\n",
            &format!("{long_local}@xa.example.vn"),
            &format!("a@{long_label}.vn"),
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn a_number_of_a_telephone_has_3_to_15_digits_and_what_is_written_between_them() {
        for good in ["113", "0222 3822 500", "(0222) 3.822-500", "+84 222 3822500", "1900 1022"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["12", "1234567890123456", "0222/3822500", "84+222", "++84222", "máy 500", "-"]
        {
            assert!(!is_phone(bad), "{bad}");
        }
    }
}
