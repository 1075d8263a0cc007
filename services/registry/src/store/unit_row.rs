//! The tables `unit`, `unit_version` and `unit_identifier`, and how their rows are histories.

use std::collections::HashMap;

use dunghan_hierarchy::{Identifier, UnitHistory, UnitId, UnknownWord, Validity, Version};
use sea_orm::IntoActiveModel as _;
use uuid::Uuid;

pub(super) mod unit {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod version {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit_version")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub unit_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub valid_from: Option<Date>,
        pub valid_until: Option<Date>,
        pub display_name: String,
        pub kind: String,
        pub level: String,
        pub parent_id: Option<Uuid>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod identifier {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unit_identifier")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub unit_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub scheme: String,
        pub value: String,
        pub valid_from: Option<Date>,
        pub valid_until: Option<Date>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Puts the rows of all units together: first the units, then what they have.
#[derive(Debug, Default)]
pub(super) struct Histories(HashMap<Uuid, UnitHistory>);

impl Histories {
    pub(super) fn unit(&mut self, row: &unit::Model) {
        let id = UnitId::from_uuid(row.id);
        self.0.insert(row.id, UnitHistory { id, versions: Vec::new(), identifiers: Vec::new() });
    }

    pub(super) fn version(&mut self, row: version::Model) -> Result<(), UnknownWord> {
        if let Some(history) = self.0.get_mut(&row.unit_id) {
            history.versions.push(Version {
                validity: Validity { from: row.valid_from, until: row.valid_until },
                display_name: row.display_name,
                kind: row.kind.parse()?,
                level: row.level.parse()?,
                parent: row.parent_id.map(UnitId::from_uuid),
            });
        }
        Ok(())
    }

    pub(super) fn identifier(&mut self, row: identifier::Model) {
        if let Some(history) = self.0.get_mut(&row.unit_id) {
            history.identifiers.push(Identifier {
                scheme: row.scheme,
                value: row.value,
                validity: Validity { from: row.valid_from, until: row.valid_until },
            });
        }
    }

    /// In no order.
    pub(super) fn all(self) -> Vec<UnitHistory> {
        self.0.into_values().collect()
    }
}

/// The rows of a unit's versions.
pub(super) fn versions(history: &UnitHistory) -> impl Iterator<Item = version::ActiveModel> + '_ {
    (0..).zip(&history.versions).map(|(number, version)| {
        version::Model {
            unit_id: history.id.uuid(),
            number,
            valid_from: version.validity.from,
            valid_until: version.validity.until,
            display_name: version.display_name.clone(),
            kind: version.kind.to_string(),
            level: version.level.to_string(),
            parent_id: version.parent.map(UnitId::uuid),
        }
        .into_active_model()
    })
}

/// The rows of a unit's codes.
pub(super) fn identifiers(
    history: &UnitHistory,
) -> impl Iterator<Item = identifier::ActiveModel> + '_ {
    (0..).zip(&history.identifiers).map(|(number, held)| {
        identifier::Model {
            unit_id: history.id.uuid(),
            number,
            scheme: held.scheme.clone(),
            value: held.value.clone(),
            valid_from: held.validity.from,
            valid_until: held.validity.until,
        }
        .into_active_model()
    })
}
