//! `contacts`: whom to turn to at a unit.

use chrono::{DateTime, FixedOffset, NaiveDate};
use dunghan_proto::registry as pb;
use dunghan_rpc::field::pb_date;
use serde::Serialize;

use crate::cli::{Contacts, ContactsVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::output::{self, Column, Rows, plain, show_date, show_time, word};

#[derive(Debug, Serialize)]
pub(super) struct Contact {
    name: String,
    pub(super) role: String,
    pub(super) display_name: String,
    email: String,
    phone: String,
    subject: String,
    valid_from_date: Option<NaiveDate>,
    valid_through_date: Option<NaiveDate>,
    creator: String,
    create_time: Option<DateTime<FixedOffset>>,
    ender: String,
    end_time: Option<DateTime<FixedOffset>>,
    end_reason: String,
}

impl From<pb::Contact> for Contact {
    fn from(contact: pb::Contact) -> Self {
        Self {
            role: word(contact.role().as_str_name(), "CONTACT_ROLE_"),
            valid_from_date: output::date(contact.valid_from_date.as_ref()),
            valid_through_date: output::date(contact.valid_through_date.as_ref()),
            create_time: output::time(contact.create_time.as_ref()),
            end_time: output::time(contact.end_time.as_ref()),
            name: contact.name,
            display_name: contact.display_name,
            email: contact.email,
            phone: contact.phone,
            subject: contact.subject,
            creator: contact.creator,
            ender: contact.ender,
            end_reason: contact.end_reason,
        }
    }
}

impl Contact {
    /// Whose contact it is.
    pub(super) fn unit(&self) -> &str {
        self.name.split("/contacts/").next().unwrap_or_default()
    }
}

#[derive(Serialize)]
struct List {
    contacts: Vec<Contact>,
}

pub(super) async fn contacts(args: Contacts) -> Result<(), Failure> {
    let format = args.client.output;
    let client = Client::of(&args.client)?;
    let one = match args.verb {
        ContactsVerb::List { unit, as_of, roles, ended } => {
            let as_of = unit.date(as_of.as_of);
            let unit = client.unit_name(&unit, as_of).await?;
            let list = List { contacts: list(&client, &unit, as_of, &roles, ended).await? };
            return output::print(format, &list, |list| blocks(&list.contacts));
        }
        ContactsVerb::Add { unit, role, name, email, phone, subject, from, through, as_of } => {
            // Without another date the unit's code is meant on the contact's first day.
            let as_of = unit.date(as_of.as_of.or(from));
            let contact = pb::Contact {
                role: role.into(),
                display_name: name,
                email,
                phone,
                subject,
                valid_from_date: from.map(pb_date),
                valid_through_date: through.map(pb_date),
                ..Default::default()
            };
            let request = pb::CreateContactRequest {
                parent: client.unit_name(&unit, as_of).await?,
                contact: Some(contact),
                request_id: uuid::Uuid::new_v4().to_string(),
            };
            client.contacts().create_contact(request).await?.into_inner()
        }
        ContactsVerb::End { unit, contact, through, reason, as_of } => {
            let parent = client.unit_name(&unit, unit.date(as_of.as_of)).await?;
            let name = format!("{parent}/contacts/{contact}");
            let valid_through_date = through.map(pb_date);
            let request = pb::EndContactRequest { name, valid_through_date, reason };
            client.contacts().end_contact(request).await?.into_inner()
        }
    };
    output::print(format, &Contact::from(one), show)
}

/// The contacts of a unit on a date, or of all dates.
pub(super) async fn list(
    client: &Client,
    unit: &str,
    as_of: Option<NaiveDate>,
    roles: &[pb::ContactRole],
    show_ended: bool,
) -> Result<Vec<Contact>, Failure> {
    let mut request = pb::ListContactsRequest {
        parent: unit.to_owned(),
        as_of_date: as_of.map(pb_date),
        roles: roles.iter().map(|role| i32::from(*role)).collect(),
        show_ended,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut contacts = Vec::new();
    loop {
        let page = client.contacts().list_contacts(request.clone()).await?.into_inner();
        contacts.extend(page.contacts.into_iter().map(Contact::from));
        if page.next_page_token.is_empty() {
            return Ok(contacts);
        }
        request.page_token = page.next_page_token;
    }
}

/// Contacts beside other things of their unit.
pub(super) fn table(contacts: &[Contact]) -> String {
    use Column::Text;
    let mut rows = Rows::new(&[
        Text("Role"),
        Text("Contact"),
        Text("Reached by"),
        Text("From"),
        Text("Through"),
    ]);
    for one in contacts {
        let ways = [one.email.as_str(), one.phone.as_str()].into_iter();
        rows.row([
            plain(&one.role),
            one.display_name.clone(),
            ways.filter(|way| !way.is_empty()).collect::<Vec<_>>().join(", "),
            show_date(one.valid_from_date),
            show_date(one.valid_through_date),
        ]);
    }
    rows.text()
}

/// Each with all that is known of it.
fn blocks(contacts: &[Contact]) -> String {
    if contacts.is_empty() {
        return "Nothing.".to_owned();
    }
    contacts.iter().map(show).collect::<Vec<_>>().join("\n\n")
}

/// The last part of a contact's name.
fn id(contact: &Contact) -> &str {
    contact.name.rsplit('/').next().unwrap_or_default()
}

fn show(contact: &Contact) -> String {
    output::pairs(&[
        ("Contact", contact.display_name.clone()),
        ("Role", plain(&contact.role)),
        ("E-mail", contact.email.clone()),
        ("Phone", contact.phone.clone()),
        ("Subject", contact.subject.clone()),
        ("From", show_date(contact.valid_from_date)),
        ("Through", show_date(contact.valid_through_date)),
        ("Added by", contact.creator.clone()),
        ("Added", show_time(contact.create_time)),
        ("Ended by", contact.ender.clone()),
        ("Ended", show_time(contact.end_time)),
        ("Why", contact.end_reason.clone()),
        ("Id", id(contact).to_owned()),
    ])
}
