//! The `cofferdam` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    match cofferdam_processors::list() {
        Ok(processors) => cofferdam::main(processors),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
