//! Seals and opens in memory with the crate `age`, and prints one line a figure: `name value unit`, as the bench of `cofferdam-encrypt` does.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const PIECE: usize = 1 << 20;

/// Processor time of the process, whatever threads the library uses.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and `time` is valid for writing.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Throws away what is written, after looking at it.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn seal(plaintext: &[u8], key: &age::x25519::Identity, out: impl Write) {
    let to = key.to_public();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&to as &dyn age::Recipient)).expect("one recipient");
    let mut writer = encryptor.wrap_output(out).expect("memory takes everything");
    for piece in plaintext.chunks(PIECE) {
        writer.write_all(piece).expect("memory takes everything");
    }
    writer.finish().expect("memory takes everything");
}

fn open(sealed: &[u8], key: &age::x25519::Identity) {
    let decryptor = age::Decryptor::new(sealed).expect("was just sealed");
    let mut reader = decryptor.decrypt(std::iter::once(key as &dyn age::Identity)).expect("to this key");
    let mut piece = vec![0; PIECE];
    while reader.read(&mut piece).expect("is whole") > 0 {
        black_box(&piece);
    }
}

fn measure(name: &str, size: usize, mut work: impl FnMut()) {
    let mut rounds: Vec<(f64, f64)> = (0..3)
        .map(|_| {
            let (wall, before) = (Instant::now(), cpu());
            work();
            (wall.elapsed().as_secs_f64(), (cpu() - before).as_secs_f64())
        })
        .collect();
    let gb = |seconds: f64| size as f64 / seconds / 1e9;
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("{name}.wall {:.3} GB/s", gb(rounds[1].0));
    rounds.sort_by(|a, b| a.1.total_cmp(&b.1));
    println!("{name}.cpu {:.3} GB/s", gb(rounds[1].1));
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (size, name) = if quick { (64 << 20, "64MiB") } else { (1 << 30, "1GiB") };
    let plaintext: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
    let key = age::x25519::Identity::generate();
    measure(&format!("seal.age.caller.{name}"), size, || seal(&plaintext, &key, Sink));
    let mut sealed = Vec::with_capacity(size + size / 1000);
    seal(&plaintext, &key, &mut sealed);
    drop(plaintext);
    measure(&format!("open.age.caller.{name}"), size, || open(&sealed, &key));
}
