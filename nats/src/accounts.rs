//! Who may say what on the broker.
//!
//! Three kinds of accounts: `CORE` owns JetStream and holds one user a role; every tenant has an account of its own
//! without JetStream, tied to `CORE` by three imports that insert the tenant's name, so that a tenant can neither
//! leave it out nor forge it; `SYS` is the server's own and nobody can log in there. Permissions are derived from
//! [`RoleNeeds`], so that what a role may do is what the table says it needs and nothing else.
//!
//! | a tenant's client says | what `CORE` sees |
//! |---|---|
//! | subscribes to `live.>` | `live.v1.<tenant>.>` |
//! | requests `cmd.<verb>` | `cmdin.v1.<tenant>.<verb>` |
//! | requests `q.<query>` | `q.v1.<tenant>.<query>` |

mod error;
pub(crate) mod private;
mod roles;
mod secrets;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use cofferdam_schemas::ids::{SourceName, TenantName};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

pub use error::AccountsError;
pub use roles::{RoleFacts, RoleNeeds, roles, source_role};

/// The account that owns the streams.
pub const CORE: &str = "CORE";
/// The server's own account. It has no users.
pub const SYSTEM: &str = "SYS";

/// What a tenant's account may use at once; enough for dashboards and scripts, little enough that one tenant cannot
/// starve the others.
const TENANT_CONNECTIONS: u32 = 200;
const TENANT_SUBSCRIPTIONS: u32 = 2_000;
/// Commands and queries are small; bytes of documents never travel in messages.
const TENANT_PAYLOAD: u32 = 64 * 1024;

/// One user's name and password, without the address of a server. `Debug` hides the password.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// Names the connection, and the inbox: replies arrive below `_INBOX_<role>.`.
    pub role: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// With the address of a server: what [`crate::Bus::connect`] takes.
    pub fn at(self, url: impl Into<String>) -> crate::Login {
        crate::Login {
            url: url.into(),
            user: self.user,
            password: self.password,
            role: self.role,
        }
    }
}

/// All users of one installation, with their passwords and permissions.
pub struct Accounts {
    roles: Vec<(RoleNeeds, SecretString)>,
    tenants: Vec<(TenantName, SecretString)>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<_> = self.roles.iter().map(|(needs, _)| needs.role.as_str()).collect();
        let tenants: Vec<_> = self.tenants.iter().map(|(tenant, _)| tenant.as_str()).collect();
        f.debug_struct("Accounts")
            .field("roles", &roles)
            .field("tenants", &tenants)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Reads the passwords at `path` (mode 0600) and makes those that are missing: 32 random bytes each, kept from
    /// then on. Parts of the file that belong to others are left as they are, and so are the passwords of users that
    /// the table no longer has: they are not given to the server.
    pub fn load_or_create(path: &Path, tenants: &[TenantName], roles: &[RoleNeeds]) -> Result<Self, AccountsError> {
        check(tenants, roles)?;
        let mut file = secrets::File::read(path)?;
        let mut made = false;
        for name in roles.iter().map(|r| r.role.as_str()) {
            made |= file.ensure(secrets::Kind::Role, name)?;
        }
        for tenant in tenants {
            made |= file.ensure(secrets::Kind::Tenant, tenant.as_str())?;
        }
        if made {
            file.write(path)?;
        }
        Self::from_file(&file, path, tenants, roles)
    }

    /// As [`Self::load_or_create`], for a process that joins a running system: a password that is missing is an
    /// error, and nothing is written.
    pub fn load(path: &Path, tenants: &[TenantName], roles: &[RoleNeeds]) -> Result<Self, AccountsError> {
        check(tenants, roles)?;
        Self::from_file(&secrets::File::read(path)?, path, tenants, roles)
    }

    fn from_file(
        file: &secrets::File,
        path: &Path,
        tenants: &[TenantName],
        roles: &[RoleNeeds],
    ) -> Result<Self, AccountsError> {
        let find = |kind, name: &str| {
            file.password(kind, name).ok_or_else(|| AccountsError::Missing {
                path: path.to_owned(),
                user: name.to_owned(),
            })
        };
        let roles = roles
            .iter()
            .map(|needs| Ok((needs.clone(), find(secrets::Kind::Role, &needs.role)?)));
        let tenants = tenants
            .iter()
            .map(|tenant| Ok((tenant.clone(), find(secrets::Kind::Tenant, tenant.as_str())?)));
        Ok(Self {
            roles: roles.collect::<Result<_, AccountsError>>()?,
            tenants: tenants.collect::<Result<_, AccountsError>>()?,
        })
    }

    /// The credentials of a role: `provisioner`, `ingest`, `gateway`, `join`, `sink`, `query`, `dlq`, `trim`, `operator`, or a
    /// processor's or verb's name.
    pub fn login(&self, role: &str) -> Option<Credentials> {
        let (needs, password) = self.roles.iter().find(|(needs, _)| needs.role == role)?;
        Some(Credentials {
            user: needs.role.clone(),
            password: password.clone(),
            role: needs.role.clone(),
        })
    }

    /// What the table says a role needs; the start-up self-check exercises it.
    pub fn needs(&self, role: &str) -> Option<&RoleNeeds> {
        self.roles
            .iter()
            .map(|(needs, _)| needs)
            .find(|needs| needs.role == role)
    }

    /// The credentials of the people who run the system.
    pub fn operator_login(&self) -> Option<Credentials> {
        self.login(roles::OPERATOR)
    }

    /// The credentials that a foreign store publishes its notifications with.
    pub fn source_login(&self, source: &SourceName) -> Option<Credentials> {
        self.login(&source_role(source))
    }

    /// The credentials that a tenant's own clients use.
    pub fn tenant_login(&self, tenant: &TenantName) -> Option<Credentials> {
        let (tenant, password) = self.tenants.iter().find(|(name, _)| name == tenant)?;
        let user = tenant_user(tenant);
        Some(Credentials {
            user: user.clone(),
            password: password.clone(),
            role: user,
        })
    }

    /// The tenants that have an account.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantName> {
        self.tenants.iter().map(|(tenant, _)| tenant)
    }

    /// The `accounts` table of the server's configuration. It holds passwords: it goes into a private file and
    /// nowhere else.
    pub(crate) fn render(&self) -> Value {
        let mut accounts = serde_json::Map::new();
        accounts.insert(CORE.to_owned(), self.render_core());
        accounts.insert(SYSTEM.to_owned(), json!({}));
        for (tenant, password) in &self.tenants {
            accounts.insert(tenant_account(tenant), render_tenant(tenant, password));
        }
        Value::Object(accounts)
    }

    fn render_core(&self) -> Value {
        let users: Vec<Value> = self
            .roles
            .iter()
            .map(|(needs, password)| render_role(needs, password))
            .collect();
        let mut exports = Vec::new();
        for (tenant, _) in &self.tenants {
            let only = [tenant_account(tenant)];
            exports.push(json!({"stream": format!("live.v1.{tenant}.>"), "accounts": only}));
            exports.push(
                json!({"service": format!("cmdin.v1.{tenant}.>"), "accounts": only, "response_type": "Singleton"}),
            );
            exports
                .push(json!({"service": format!("q.v1.{tenant}.>"), "accounts": only, "response_type": "Singleton"}));
        }
        json!({"jetstream": "enabled", "users": users, "exports": exports})
    }
}

fn render_role(needs: &RoleNeeds, password: &SecretString) -> Value {
    let mut permissions = json!({
        "publish": {"allow": needs.may_publish()},
        "subscribe": {"allow": needs.may_subscribe()},
    });
    if needs.responds {
        // One reply to each request, within the time that a caller waits at most.
        permissions["allow_responses"] = json!({"max": 1, "expires": "60s"});
    }
    json!({
        "user": needs.role,
        "password": password.expose_secret(),
        // The WebSocket listener is for tenants' browsers: a role's password is worth nothing there.
        "allowed_connection_types": ["STANDARD"],
        "permissions": permissions,
    })
}

fn render_tenant(tenant: &TenantName, password: &SecretString) -> Value {
    let user = tenant_user(tenant);
    let inbox = format!("_INBOX_{user}.>");
    json!({
        "limits": {"max_connections": TENANT_CONNECTIONS, "max_subscriptions": TENANT_SUBSCRIPTIONS, "max_payload": TENANT_PAYLOAD, "max_leafnodes": 0},
        "users": [{
            "user": user,
            "password": password.expose_secret(),
            "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
            // The account holds this tenant only, so the stock inbox of any client library is private enough.
            "permissions": {"publish": {"allow": ["cmd.>", "q.>"]}, "subscribe": {"allow": ["live.>", "_INBOX.>", inbox]}},
        }],
        "imports": [
            {"stream": {"account": CORE, "subject": format!("live.v1.{tenant}.>")}, "to": "live.>"},
            {"service": {"account": CORE, "subject": format!("cmdin.v1.{tenant}.>")}, "to": "cmd.>"},
            {"service": {"account": CORE, "subject": format!("q.v1.{tenant}.>")}, "to": "q.>"},
        ],
    })
}

/// Underscores cannot be in the name of a tenant, processor or source, so these never collide with a role.
fn tenant_user(tenant: &TenantName) -> String {
    format!("tenant_{tenant}")
}

fn tenant_account(tenant: &TenantName) -> String {
    format!("T_{tenant}")
}

fn check(tenants: &[TenantName], roles: &[RoleNeeds]) -> Result<(), AccountsError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = roles.iter().find(|needs| !seen.insert(needs.role.as_str())) {
        return Err(AccountsError::DuplicateRole {
            role: twice.role.clone(),
        });
    }
    let mut seen = BTreeSet::new();
    match tenants.iter().find(|tenant| !seen.insert(*tenant)) {
        Some(twice) => Err(AccountsError::DuplicateTenant { tenant: twice.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
