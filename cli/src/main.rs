//! The `cofferdam` program.

use std::process::ExitCode;

/// A document is some thousand small allocations on two dozen threads: a sixth of the time went into glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cofferdam_processors::list() {
        Ok(processors) => cofferdam::main(processors),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
