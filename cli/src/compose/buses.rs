//! Connections to the broker: one a role, each checked before anything relies on it.

use std::collections::BTreeMap;

use anyhow::Context;
use cofferdam_nats::accounts::{Accounts, RoleNeeds};
use cofferdam_nats::{Bus, Login, Need};

/// Where the broker is, and who may do what there.
pub struct Broker<'a> {
    /// Its address.
    pub url: &'a str,
    /// Users and passwords.
    pub accounts: &'a Accounts,
    /// What each role needs.
    pub roles: &'a [RoleNeeds],
}

impl Broker<'_> {
    /// A role's connection. What its permissions are good for is not looked at.
    pub async fn unchecked(&self, role: &str) -> anyhow::Result<Bus> {
        let login = self
            .accounts
            .login(role)
            .with_context(|| format!("no user for role {role} in the secrets file"))?;
        let bus = Bus::connect(Login {
            url: self.url.to_owned(),
            user: login.user,
            password: login.password,
            role: login.role,
        });
        Ok(bus.await?)
    }

    /// A role's connection, once each of its permissions has been tried.
    pub async fn bus(&self, role: &str) -> anyhow::Result<Bus> {
        let bus = self.unchecked(role).await?;
        if let Some(needs) = self.roles.iter().find(|needs| needs.role == role) {
            bus.self_check(&Need::of(needs)).await?;
        }
        Ok(bus)
    }

    /// The connections of several roles, by role. All at once: a check waits most of its time for what the server might have to say.
    pub async fn buses(&self, roles: impl IntoIterator<Item = String>) -> anyhow::Result<BTreeMap<String, Bus>> {
        let each = roles.into_iter().map(|role| async move {
            let bus = self.bus(&role).await?;
            anyhow::Ok((role, bus))
        });
        Ok(futures::future::try_join_all(each).await?.into_iter().collect())
    }
}
