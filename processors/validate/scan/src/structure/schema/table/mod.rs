//! A contract for tables: what columns there are and what may stand in them, for CSV, Parquet and XLSX alike.

mod check;
mod config;
mod kind;
pub(super) mod time;

pub use check::TableCheck;
pub use config::{RawCheck, RawColumn, RawTable, TablePlan};
