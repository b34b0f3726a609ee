//! Subjects that nothing stores: the live feed, and requests of tenants.

use std::fmt;
use std::str::FromStr;

use cofferdam_schemas::{ObjectId, Outcome, Partition, ProcessorName, TenantName, Verb};

use super::{SubjectError, Tokens};

/// `live.v1.<tenant>.…`: a copy of a stored message, republished when it is stored, at most once. A tenant's own
/// account sees it as `live.…`, without version and tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Live {
    /// `live.v1.<tenant>.event.<verb>.<pp>`, from `EVT`.
    Event {
        /// Whose it is.
        tenant: TenantName,
        /// What happened.
        verb: Verb,
        /// The partition.
        partition: Partition,
    },
    /// `live.v1.<tenant>.<processor or verb>.<outcome>.<pp>`, from `RES`.
    Result {
        /// Whose it is.
        tenant: TenantName,
        /// The processor, or the command's verb.
        name: ProcessorName,
        /// How it ended.
        outcome: Outcome,
        /// The partition.
        partition: Partition,
    },
    /// `live.v1.<tenant>.done.<object>`, from `JOIN`.
    Done {
        /// Whose it is.
        tenant: TenantName,
        /// The object version.
        object: ObjectId,
    },
}

impl Live {
    /// Everything of one tenant.
    pub fn of_tenant(tenant: &TenantName) -> String {
        format!("live.v1.{tenant}.>")
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Live::Event {
                tenant,
                verb,
                partition,
            } => write!(f, "live.v1.{tenant}.event.{verb}.{partition}"),
            Live::Result {
                tenant,
                name,
                outcome,
                partition,
            } => write!(f, "live.v1.{tenant}.{name}.{outcome}.{partition}"),
            Live::Done { tenant, object } => write!(f, "live.v1.{tenant}.done.{object}"),
        }
    }
}

impl FromStr for Live {
    type Err = SubjectError;
    /// `event` and `done` are no processor names, so the second token tells the three apart.
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        const FORM: &str = "live.v1.<tenant>.(event.<verb>.<pp> | <name>.<outcome>.<pp> | done.<object>)";
        if let Ok(tokens) = Tokens::<3>::split(subject, "live.v1.", FORM)
            && tokens.tokens[1] == "done"
        {
            return Ok(Live::Done {
                tenant: tokens.read(0)?,
                object: tokens.read(2)?,
            });
        }
        let tokens = Tokens::<4>::split(subject, "live.v1.", FORM)?;
        let (tenant, partition) = (tokens.read(0)?, tokens.read(3)?);
        if tokens.tokens[1] == "event" {
            return Ok(Live::Event {
                tenant,
                verb: tokens.read(2)?,
                partition,
            });
        }
        Ok(Live::Result {
            tenant,
            name: tokens.read(1)?,
            outcome: tokens.read(2)?,
            partition,
        })
    }
}

/// `cmdin.v1.<tenant>.<verb>`: a tenant's request for a command. The broker inserts the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CmdIn {
    /// Who asks.
    pub tenant: TenantName,
    /// For what. Not checked here: an unknown verb deserves an answer, not silence.
    pub verb: String,
}

impl fmt::Display for CmdIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cmdin.v1.{}.{}", self.tenant, self.verb)
    }
}

impl FromStr for CmdIn {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let (tenant, verb) = open_ended(subject, "cmdin.v1.", "cmdin.v1.<tenant>.<verb>")?;
        Ok(Self { tenant, verb })
    }
}

/// `q.v1.<tenant>.<query>`: a tenant's question about its objects. The broker inserts the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// Who asks.
    pub tenant: TenantName,
    /// Which question. Not checked here: an unknown one deserves an answer.
    pub name: String,
}

impl Query {
    /// What the query service listens to.
    pub const ALL: &'static str = "q.v1.>";
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q.v1.{}.{}", self.tenant, self.name)
    }
}

impl FromStr for Query {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let (tenant, name) = open_ended(subject, "q.v1.", "q.v1.<tenant>.<query>")?;
        Ok(Self { tenant, name })
    }
}

/// A tenant, and whatever follows it.
fn open_ended(subject: &str, prefix: &str, form: &'static str) -> Result<(TenantName, String), SubjectError> {
    let cut = || subject.chars().take(200).collect::<String>();
    let rest = subject.strip_prefix(prefix).and_then(|rest| rest.split_once('.'));
    let Some((tenant, name)) = rest.filter(|(_, name)| !name.is_empty()) else {
        return Err(SubjectError::Form { subject: cut(), form });
    };
    let tenant = tenant
        .parse()
        .map_err(|source| SubjectError::Token { subject: cut(), source })?;
    Ok((tenant, name.to_owned()))
}
