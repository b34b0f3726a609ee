//! Subjects that streams store.

use std::fmt;
use std::str::FromStr;

use cofferdam_schemas::{
    Command, CommandResult, IdError, Lane, ObjectEvent, ObjectId, ObjectRef, Outcome, Partition, ProcessorName,
    ResultEvent, SourceName, TenantName, Verb,
};

use super::{SubjectError, Tokens};

/// `raw.s3.<source>`: a notification body of a foreign store, untouched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Raw {
    /// The source, as the configuration names it.
    pub source: SourceName,
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "raw.s3.{}", self.source)
    }
}

impl FromStr for Raw {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let tokens = Tokens::<1>::split(subject, "raw.s3.", "raw.s3.<source>")?;
        Ok(Self {
            source: tokens.read(0)?,
        })
    }
}

/// `evt.v1.<lane>.<tenant>.<verb>.<pp>`: a canonical object event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evt {
    /// Which queue it waits in.
    pub lane: Lane,
    /// Whose object it is.
    pub tenant: TenantName,
    /// What happened.
    pub verb: Verb,
    /// The partition of its key.
    pub partition: Partition,
}

impl Evt {
    /// Everything.
    pub const ALL: &'static str = "evt.v1.>";

    /// What a processor's consumer takes of one lane: versions that were written or restored.
    pub fn work(lane: Lane) -> Vec<String> {
        [Verb::Put, Verb::Restore]
            .iter()
            .map(|verb| format!("evt.v1.{lane}.*.{verb}.>"))
            .collect()
    }
}

impl From<&ObjectEvent> for Evt {
    fn from(event: &ObjectEvent) -> Self {
        Self {
            lane: event.lane,
            tenant: event.object.tenant.clone(),
            verb: event.verb,
            partition: event.object.partition(),
        }
    }
}

impl fmt::Display for Evt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "evt.v1.{}.{}.{}.{}",
            self.lane, self.tenant, self.verb, self.partition
        )
    }
}

impl FromStr for Evt {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let tokens = Tokens::<4>::split(subject, "evt.v1.", "evt.v1.<lane>.<tenant>.<verb>.<pp>")?;
        Ok(Self {
            lane: tokens.read(0)?,
            tenant: tokens.read(1)?,
            verb: tokens.read(2)?,
            partition: tokens.read(3)?,
        })
    }
}

/// `cmd.v1.<tenant>.<verb>`: an accepted command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cmd {
    /// Whose it is.
    pub tenant: TenantName,
    /// What is to be done.
    pub verb: ProcessorName,
}

impl Cmd {
    /// Everything.
    pub const ALL: &'static str = "cmd.v1.>";

    /// What the consumer of one verb takes.
    pub fn of_verb(verb: &ProcessorName) -> String {
        format!("cmd.v1.*.{verb}")
    }
}

impl From<&Command> for Cmd {
    fn from(command: &Command) -> Self {
        Self {
            tenant: command.tenant.clone(),
            verb: command.verb.clone(),
        }
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cmd.v1.{}.{}", self.tenant, self.verb)
    }
}

impl FromStr for Cmd {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let tokens = Tokens::<2>::split(subject, "cmd.v1.", "cmd.v1.<tenant>.<verb>")?;
        Ok(Self {
            tenant: tokens.read(0)?,
            verb: tokens.read(1)?,
        })
    }
}

/// `res.v1.<tenant>.<processor or verb>.<outcome>.<pp>`: a result of a processor or of a command. The CloudEvents type
/// tells which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Res {
    /// Whose it is.
    pub tenant: TenantName,
    /// The processor, or the command's verb.
    pub name: ProcessorName,
    /// How it ended.
    pub outcome: Outcome,
    /// The partition of the object's key.
    pub partition: Partition,
}

impl Res {
    /// Everything.
    pub const ALL: &'static str = "res.v1.>";

    /// What one processor or verb may publish.
    pub fn of_name(name: &ProcessorName) -> String {
        format!("res.v1.*.{name}.>")
    }

    /// The subject of a command's result.
    pub fn of_command(result: &CommandResult, partition: Partition) -> Self {
        Self {
            tenant: result.tenant.clone(),
            name: result.verb.clone(),
            outcome: result.outcome,
            partition,
        }
    }
}

impl From<&ResultEvent> for Res {
    fn from(result: &ResultEvent) -> Self {
        Self {
            tenant: result.object.tenant.clone(),
            name: result.processor.clone(),
            outcome: result.outcome,
            partition: result.object.partition(),
        }
    }
}

impl fmt::Display for Res {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "res.v1.{}.{}.{}.{}",
            self.tenant, self.name, self.outcome, self.partition
        )
    }
}

impl FromStr for Res {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let tokens = Tokens::<4>::split(subject, "res.v1.", "res.v1.<tenant>.<name>.<outcome>.<pp>")?;
        Ok(Self {
            tenant: tokens.read(0)?,
            name: tokens.read(1)?,
            outcome: tokens.read(2)?,
            partition: tokens.read(3)?,
        })
    }
}

/// Which of the two messages an object version has on `JOIN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// What is in so far, of an object that stays open for long.
    State,
    /// It is finished.
    Done,
}

impl JoinKind {
    fn as_str(self) -> &'static str {
        match self {
            JoinKind::State => "state",
            JoinKind::Done => "done",
        }
    }
}

impl FromStr for JoinKind {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        [JoinKind::State, JoinKind::Done]
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or_else(|| IdError {
                kind: "join message",
                reason: "is state or done",
                text: text.chars().take(80).collect(),
            })
    }
}

/// `join.v1.<state|done>.<tenant>.<object>`: the completion of one object version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Join {
    /// Which message.
    pub kind: JoinKind,
    /// Whose object it is.
    pub tenant: TenantName,
    /// The object version.
    pub object: ObjectId,
}

impl Join {
    /// Every finished object.
    pub const ALL_DONE: &'static str = "join.v1.done.>";
    /// What is in so far of every object that was open for long.
    pub const ALL_STATES: &'static str = "join.v1.state.>";

    /// The final message of an object version.
    pub fn done(object: &ObjectRef) -> Self {
        Self {
            kind: JoinKind::Done,
            tenant: object.tenant.clone(),
            object: object.id,
        }
    }

    /// Both messages of one object version: the domain in which expected sequences are compared.
    pub fn either(tenant: &TenantName, object: &ObjectId) -> String {
        format!("join.v1.*.{tenant}.{object}")
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "join.v1.{}.{}.{}", self.kind.as_str(), self.tenant, self.object)
    }
}

impl FromStr for Join {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let form = "join.v1.<state|done>.<tenant>.<object>";
        let tokens = Tokens::<3>::split(subject, "join.v1.", form)?;
        let join = Self {
            kind: tokens.read(0)?,
            tenant: tokens.read(1)?,
            object: tokens.read(2)?,
        };
        // A UUID can be written in several ways; an object version has one subject.
        if join.object.to_string() != tokens.tokens[2] {
            return Err(SubjectError::Form {
                subject: subject.chars().take(200).collect(),
                form,
            });
        }
        Ok(join)
    }
}

/// `dlq.v1.<tenant>.<stream>.<consumer>.<class>`: a message that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dlq {
    /// Whose it is; `_` in the subject when the message belongs to no tenant (yet).
    pub tenant: Option<TenantName>,
    /// The stream it was in.
    pub stream: String,
    /// The consumer that gave it up.
    pub consumer: String,
    /// Why, as one token: see [`Dlq::class_token`].
    pub class: String,
}

impl Dlq {
    /// Everything.
    pub const ALL: &'static str = "dlq.v1.>";

    /// What the worker of one consumer may publish.
    pub fn of_consumer(stream: &str, consumer: &str) -> String {
        format!("dlq.v1.*.{stream}.{consumer}.*")
    }

    /// A class as a token: lower case, everything but `a-z0-9-` becomes `-`, at most 32 characters, `other` when
    /// nothing is left.
    pub fn class_token(class: &str) -> String {
        let fits = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let token: String = class.chars().take(32).map(fits).collect();
        if token.chars().all(|c| c == '-') {
            "other".to_owned()
        } else {
            token
        }
    }
}

impl fmt::Display for Dlq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = self.tenant.as_ref().map_or("_", TenantName::as_str);
        write!(f, "dlq.v1.{tenant}.{}.{}.{}", self.stream, self.consumer, self.class)
    }
}

impl FromStr for Dlq {
    type Err = SubjectError;
    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        const FORM: &str = "dlq.v1.<tenant or _>.<stream>.<consumer>.<class>";
        let tokens = Tokens::<4>::split(subject, "dlq.v1.", FORM)?;
        let tenant = if tokens.tokens[0] == "_" {
            None
        } else {
            Some(tokens.read(0)?)
        };
        let [_, stream, consumer, class] = tokens.tokens;
        if [stream, consumer, class].iter().any(|token| token.is_empty()) {
            return Err(SubjectError::Form {
                subject: subject.chars().take(200).collect(),
                form: FORM,
            });
        }
        Ok(Self {
            tenant,
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            class: class.to_owned(),
        })
    }
}
