//! The child of the tests: looks inside documents with a scanner that knows one signature, and misbehaves on demand.

use std::fs::File;
use std::io::Read;

use cofferdam_inside::inside::{Cell, Member, Place, Problem, Role, Source, Table, Value, Visitor, look};
use cofferdam_inside::sandbox::{Emitter, worker_main};

#[path = "wire.rs"]
#[allow(missing_docs)]
mod wire;

use wire::{Request, Seen};

struct Scanner<'a, 'b> {
    emitter: &'a mut Emitter<'b, Seen>,
    signature: Vec<u8>,
    rows: u64,
}

impl Visitor for Scanner<'_, '_> {
    fn member(&mut self, member: &Member, bytes: &mut dyn Read) {
        let mut window = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let (mut total, mut signature) = (0, false);
        while let Ok(count @ 1..) = bytes.read(&mut buffer) {
            total += count as u64;
            window.extend_from_slice(&buffer[..count]);
            if let Some(at) = memchr(&window, &self.signature) {
                signature |= at < window.len();
            }
            let keep = window.len().saturating_sub(self.signature.len());
            window.drain(..keep);
        }
        let hidden = member.role == Role::Hidden;
        self.emitter.emit(&Seen::Member {
            place: member.place.clone(),
            kind: member.kind,
            bytes: total,
            signature,
            hidden,
        });
    }

    fn text(&mut self, place: &Place, text: &str) {
        let text = text.chars().take(2_000).collect();
        self.emitter.emit(&Seen::Text {
            place: place.clone(),
            text,
        });
    }

    fn row(&mut self, table: &Table, row: u64, cells: &[Cell<'_>]) {
        self.rows += 1;
        if self.rows > 50 {
            return;
        }
        let place = table.place(row, cells.first().map_or(0, |cell| cell.0));
        let cells = cells
            .iter()
            .map(|(_, value)| match value {
                Value::Text(text) => (*text).to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        self.emitter.emit(&Seen::Row { place, cells });
    }

    fn problem(&mut self, problem: Problem) {
        self.emitter.emit(&Seen::Problem(problem));
    }

    fn wants_more(&self) -> bool {
        !self.emitter.is_alone()
    }
}

fn memchr(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let first = *word.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(word) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn misbehave(how: &str, document: File, emitter: &mut Emitter<'_, Seen>) {
    let mut note = |text: String| emitter.emit(&Seen::Note(text));
    let how = how.strip_prefix("find, then ").map_or(how, |how| {
        note("found".to_owned());
        how
    });
    match how {
        "allocate" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1u8; 8 << 20]);
            }
        }
        "many, then spin" => {
            for number in 0..100 {
                note(number.to_string());
            }
            loop {
                std::hint::spin_loop();
            }
        }
        "spin" => {
            let mut number = 1u64;
            loop {
                number = std::hint::black_box(number.wrapping_mul(31));
            }
        }
        "panic" => panic!("as asked"),
        "stack" => {
            #[allow(unconditional_recursion, reason = "this is what is tested")]
            fn deep(level: u64) -> u64 {
                let space = std::hint::black_box([level; 512]);
                deep(level + 1) + space[3]
            }
            note(deep(0).to_string());
        }
        "exit" => std::process::exit(7),
        "flood" => while note("x".repeat(1_000)) {},
        "long" => {
            note("x".repeat(2 << 20));
        }
        "garbage" => {
            let _ = rustix::io::write(std::io::stdin(), &[0xff; 64]);
        }
        "forbidden" => {
            let tries = [
                ("open", File::open("/etc/hostname").is_ok()),
                ("create", File::create("/tmp/containers-forbidden").is_ok()),
                ("folder", std::fs::read_dir("/").is_ok()),
                (
                    "connect",
                    std::net::TcpStream::connect("127.0.0.1:1").is_err_and(|error| error.raw_os_error() != Some(1)),
                ),
                ("socket", std::net::UdpSocket::bind("127.0.0.1:0").is_ok()),
                ("exec", std::process::Command::new("/bin/true").spawn().is_ok()),
                ("thread", std::thread::Builder::new().spawn(|| ()).is_ok()),
                ("environment", std::env::vars().next().is_some()),
            ];
            for (name, done) in tries {
                note(format!("{name}: {}", if done { "done" } else { "refused" }));
            }
        }
        "write" => {
            use std::io::Write;
            let mut document = document;
            note(format!(
                "write: {}",
                if document.write_all(b"x").is_ok() {
                    "done"
                } else {
                    "refused"
                }
            ));
        }
        _ => {
            note("hello".to_owned());
        }
    }
}

fn main() -> std::io::Result<()> {
    if let Some(done) = cofferdam_inside::records::child_main() {
        return done;
    }
    if std::env::args().nth(1).as_deref() != Some("__inside-worker") {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    worker_main(|material| {
        let (signature, material) = (signature(), material.to_vec());
        Ok(
            move |request: Request, document: File, emitter: &mut Emitter<'_, Seen>| match request {
                Request::Material => {
                    let all: u64 = material.iter().map(|byte| u64::from(*byte)).sum();
                    emitter.emit(&Seen::Note(format!("{} bytes, {all} together", material.len())));
                }
                Request::Misbehave(how) => misbehave(&how, document, emitter),
                Request::Look { name, kind, limits } => {
                    let Ok(source) = Source::file(document) else { return };
                    let mut scanner = Scanner {
                        emitter,
                        signature: signature.clone(),
                        rows: 0,
                    };
                    look(source, &name, kind, &limits, &mut scanner);
                }
            },
        )
    })
}

/// The 68 bytes of the EICAR test file, each turned by one.
fn signature() -> Vec<u8> {
    b"Y6P\"Q&ABQ\\5]Q[Y65)Q_*8DD*8~%FJDBS.TUBOEBSE.BOUJWJSVT.UFTU.GJMF\"%I,I+"
        .iter()
        .map(|byte| byte - 1)
        .collect()
}
