//! The tables as data: read from `schemas/db/*.cql`, rendered as SQLite DDL, and the few kinds of statements that are made over them.
//!
//! One description gives the text in both languages ([`Statement::sql`], [`Statement::cql`]), so that the two backends cannot drift apart.

mod cql;
mod ddl;
mod statement;
mod tables;

pub use cql::{Column, ColumnType, CqlError, Order, Table, parse};
pub use ddl::sqlite_ddl;
pub use statement::{Statement, Verb, catalogue};
pub use tables::{MIGRATIONS, Migration, TableId, table};
