//! `cofferdam rm`.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use cofferdam_schemas::DeleteRequest;

use crate::args::{Global, Rm};
use crate::client::{Session, selector};
use crate::output::{Exit, Failure, json_line, printable};

/// Asks, then deletes.
pub async fn run(global: &Global, args: &Rm) -> Result<Exit, Failure> {
    let select = selector(&args.name)?;
    let session = Session::open(global).await?;
    if !args.yes
        && !confirm(&format!(
            "delete {} for good, its sealed copy included?",
            printable(&args.name.name)
        ))?
    {
        return Err(Failure::text(Exit::Failure, "not deleted"));
    }
    let result = session
        .command("delete", &DeleteRequest { id: None, select }, Duration::from_secs(60))
        .await?;
    if global.json {
        json_line(&result)?;
    } else {
        let object = result
            .result
            .and_then(|r| r.object)
            .map(|id| id.to_string())
            .unwrap_or_default();
        println!("deleted {} ({object})", printable(&args.name.name));
    }
    Ok(Exit::Ok)
}

/// A yes-or-no question on the terminal. Where there is none the answer is an error, not a guess.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::text(
            Exit::Failure,
            format!("{question} There is no terminal to ask on: say --yes"),
        ));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
