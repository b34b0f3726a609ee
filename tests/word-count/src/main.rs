//! `cofferdam` with one more processor: everything else follows from the list.

use std::process::ExitCode;

use cofferdam_processor::Registration;
use cofferdam_word_count::WordCount;

fn main() -> ExitCode {
    let list = cofferdam_processors::list().and_then(|mut list| {
        list.push(Registration::of::<WordCount>(&[])?);
        Ok(list)
    });
    match list {
        Ok(list) => cofferdam::main(list),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
