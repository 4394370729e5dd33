//! What the commands for parts of resources share.

use hourgate_api::paths::{Parts, Route};
use hourgate_core::{id::Name, resource::ResourceId};
use reqwest::Method;
use serde_json::Value;

use super::super::Session;
use crate::{
    client::Call,
    exit::Failure,
    output::{Answer, Table},
};

/// One part of a resource, and how it is shown.
pub(super) struct Part {
    /// The resource.
    pub(super) of: ResourceId,
    /// Which of its parts.
    pub(super) parts: Parts,
    /// How some of them are shown.
    pub(super) table: fn(&[Value]) -> Table,
}

impl Part {
    pub(super) async fn put(
        self,
        session: &Session,
        name: Name,
        body: &Value,
    ) -> Result<(), Failure> {
        let path = Route::Part(self.of, self.parts, name).uri();
        let value = session.client.send(Call::new(Method::PUT, &path).body(body)).await?.body;
        session.output.show(&Answer::new(value.clone(), (self.table)(&[value])))
    }

    pub(super) async fn show(self, session: &Session, name: Name) -> Result<(), Failure> {
        let path = Route::Part(self.of, self.parts, name).uri();
        let value = session.client.get(&path).await?.body;
        session.output.show(&Answer::new(value.clone(), (self.table)(&[value])))
    }

    pub(super) async fn delete(self, session: &Session, name: Name) -> Result<(), Failure> {
        let path = Route::Part(self.of, self.parts, name).uri();
        session.client.send(Call::new(Method::DELETE, &path)).await?;
        Ok(())
    }

    /// All of them, and where wanted those of another list behind.
    pub(super) async fn list(self, session: &Session, more: Option<Parts>) -> Result<(), Failure> {
        let mut found =
            session.client.list(&Route::Parts(self.of.clone(), self.parts).uri()).await?;
        if let Some(more) = more {
            found.extend(session.client.list(&Route::Parts(self.of, more).uri()).await?);
        }
        let table = (self.table)(&found);
        session.output.show(&Answer::new(Value::Array(found), table))
    }
}
