//! Forms: read, published, retired.

use std::sync::{Arc, PoisonError, RwLock};

use dunghan_proto::policy::ErrorReason as Common;
use dunghan_proto::submission as pb;
use dunghan_proto::submission::ErrorReason;
use dunghan_proto::submission::form_service_server::FormService;
use dunghan_rpc::{Caller, Page, field, internal, refuse};
use tokio::task::spawn_blocking;
use tonic::{Code, Request, Response, Status};

use super::{Service, fitting, request_key};
use crate::convert;
use crate::domain::form::{Form, Forms, Published, Retired};
use crate::error::bad;
use crate::store::{self, KeptForm, Reply, Store};

/// The forms that there are, as this process knows them, following what all processes publish. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct CurrentForms {
    newest: Arc<RwLock<Arc<Known>>>,
    /// Those that came with the program.
    own: Arc<Forms>,
}

/// Forms, as of a version of what is published.
#[derive(Debug)]
struct Known {
    version: i64,
    forms: Arc<Forms>,
}

impl CurrentForms {
    pub(crate) fn new(own: Forms) -> Self {
        let own = Arc::new(own);
        // Before the first look: what is there already is later than this.
        let known = Known { version: -1, forms: own.clone() };
        Self { newest: Arc::new(RwLock::new(Arc::new(known))), own }
    }

    fn held(&self) -> Arc<Known> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them, as of now: looks whether any process has published or retired one, which counting a small table answers.
    pub(crate) async fn follow(&self, store: &Store) -> Result<Arc<Forms>, Status> {
        let held = self.held();
        if store.form_version().await? == held.version {
            return Ok(held.forms.clone());
        }
        let (version, kept) = store.form_all().await?;
        let own = self.own.clone();
        // To make a form's rules ready takes long enough to be in the way of others.
        let forms = spawn_blocking(move || together(&own, &held.forms, kept)).await;
        let forms = forms.map_err(|error| internal("reading forms", &error))??;
        let known = Arc::new(Known { version, forms: Arc::new(forms) });
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked later, and be here before.
        if newest.version < version {
            *newest = known.clone();
        }
        Ok(known.forms.clone())
    }

    /// One of them, retired or not. What it says never changes, so nothing is asked where it is known.
    pub(crate) async fn known(
        &self,
        store: &Store,
        key: &str,
    ) -> Result<Option<Arc<Form>>, Status> {
        let held = self.held();
        // Before the first look it may be one that came with the program, and stands aside for one that was published.
        if let Some(form) = held.forms.get(key).filter(|_| held.version >= 0) {
            return Ok(Some(form.clone()));
        }
        Ok(self.follow(store).await?.get(key).cloned())
    }
}

/// The program's own forms with what is kept. What was published stands, whatever the program brings under its name since:
/// reports were written on it.
fn together(own: &Forms, held: &Forms, kept: Vec<KeptForm>) -> Result<Forms, store::Error> {
    let mut forms = own.clone();
    for KeptForm { key, published, retired } in kept {
        let form = match published {
            None => own.get(&key).map(|form| Form::clone(form)),
            Some((text, published)) => {
                let known = held.get(&key).filter(|form| form.published.is_some());
                let mut form = match known {
                    Some(form) => Form::clone(form),
                    None => Form::new(text).map_err(|flaws| {
                        let says = format!("the form {key}: {flaws}");
                        store::Error::Unreadable(says.into())
                    })?,
                };
                form.published = Some(published);
                Some(form)
            }
        };
        // A form of a later release that was retired by it: this one does not have it.
        if let Some(form) = form {
            forms.put(form.retired_as(retired));
        }
    }
    Ok(forms)
}

fn unknown(key: &str) -> Status {
    let metadata = [("form", format!("forms/{key}"))];
    refuse(Code::NotFound, ErrorReason::UnknownForm, "there is no form of that name", metadata)
}

fn key_of(name: &str) -> Result<&str, Status> {
    convert::form_key(name).ok_or_else(|| bad("name", Common::InvalidField, "must be forms/{form}"))
}

#[tonic::async_trait]
impl FormService for Service {
    async fn get_form(
        &self,
        request: Request<pb::GetFormRequest>,
    ) -> Result<Response<pb::Form>, Status> {
        let name = request.into_inner().name;
        let key = key_of(&name)?;
        let forms = self.forms.follow(&self.store).await?;
        let form = forms.get(key).ok_or_else(|| unknown(key))?;
        Ok(Response::new(pb::Form::from(&**form)))
    }

    async fn list_forms(
        &self,
        request: Request<pb::ListFormsRequest>,
    ) -> Result<Response<pb::ListFormsResponse>, Status> {
        let request = request.into_inner();
        let mut page = Page::<String>::new(request.page_size, &request.page_token, &"ListForms")?;
        let forms = self.forms.follow(&self.store).await?;
        let after =
            |form: &&Arc<Form>| page.after.as_ref().is_none_or(|after| form.key() > after.as_str());
        let left = forms.iter().filter(after).take(page.size + 1);
        let left: Vec<_> =
            left.map(|form| (form.key().to_owned(), pb::Form::from(&**form))).collect();
        page.size = page.size.min(fitting(&left));
        let (forms, next_page_token) = page.cut(left, |(key, _)| key.clone());
        let forms = forms.into_iter().map(|(_, form)| form).collect();
        Ok(Response::new(pb::ListFormsResponse { forms, next_page_token }))
    }

    async fn create_form(
        &self,
        request: Request<pb::CreateFormRequest>,
    ) -> Result<Response<pb::Form>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let request_id = if request.validate_only { "" } else { &request.request_id };
        let key = request_key(&caller, "CreateForm", request_id, &request)?;
        let text = convert::form_text(field::required("form", request.form)?)?;
        let publish = async {
            // Its rules are read, each on its own.
            let form = spawn_blocking(move || Form::new(text)).await;
            let form = form.map_err(|error| internal("reading a form", &error))?;
            let mut form = match form {
                Ok(form) => form,
                Err(flaws) => {
                    convert::flawed(flaws)?;
                    return Err(internal("refusing a form", &std::io::Error::other("no flaw")));
                }
            };
            if self.forms.follow(&self.store).await?.get(form.key()).is_some() {
                return Err(store::Error::FormExists(form.key().to_owned()).into());
            }
            if request.validate_only {
                return Ok(pb::Form::from(&form));
            }
            let (at, author) = (self.clock.now(), caller.subject().to_owned());
            let published = Published { at, author };
            form.published = Some(published.clone());
            let response = pb::Form::from(&form);
            let reply = key.as_ref().map(|key| Reply { key, response: &response });
            self.store.form_insert(form.text(), &published, reply).await?;
            Ok(response)
        };
        self.once(key.as_ref(), publish).await
    }

    async fn retire_form(
        &self,
        request: Request<pb::RetireFormRequest>,
    ) -> Result<Response<pb::Form>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let id = key_of(&request.name)?;
        let key = request_key(&caller, "RetireForm", &request.request_id, &request)?;
        let reason = convert::reason(&request.reason)?;
        let retire = async {
            let form = self.forms.follow(&self.store).await?.get(id).cloned();
            let form = form.ok_or_else(|| unknown(id))?;
            let retired = Retired { at: self.clock.now(), reason };
            let answer =
                |kept: KeptForm| pb::Form::from(&Form::clone(&form).retired_as(kept.retired));
            let (store, author) = (&self.store, caller.subject());
            Ok(store.form_retire(id, author, &retired, key.as_ref(), answer).await?)
        };
        self.once(key.as_ref(), retire).await
    }
}

#[cfg(test)]
mod tests {
    use dunghan_store::Database;
    use dunghan_testkit::{Engine, Place};

    use super::*;
    use crate::domain::form::FormText;

    #[tokio::test]
    async fn a_published_form_stands_whatever_the_program_brings_under_its_name_since() {
        let place = Place::new(Engine::Sqlite).await;
        let database = Database::open(&place.location, "submission").await.unwrap();
        database.migrate::<store::Migrations>().await.unwrap();
        let store = Store::new(database);
        let forms = CurrentForms::new(Forms::compiled_in().unwrap());
        let own = forms.own.get("cds-1").unwrap().text().clone();
        let published = FormText { display_name: "Do đơn vị ban hành".to_owned(), ..own };
        let by = Published { at: chrono::DateTime::UNIX_EPOCH, author: "lan".to_owned() };
        store.form_insert::<pb::Form>(&published, &by, None).await.unwrap();
        // Nobody has read or begun anything yet.
        let known = forms.known(&store, "cds-1").await.unwrap().unwrap();
        assert_eq!(known.text().display_name, "Do đơn vị ban hành");
    }
}
