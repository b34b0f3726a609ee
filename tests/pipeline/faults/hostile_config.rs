//! Configurations that mean harm: each is refused with 78 and a problem that can be read, by every command that reads it.

#![allow(clippy::disallowed_methods)] // Nothing else runs on the thread that waits for a program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::ensure;
use cofferdam_tests::tools;

/// Runs the program in an empty directory, with a configuration and an environment.
fn run(home: &Path, config: Option<&[u8]>, args: &[&str], env: &[(&OsStr, &OsStr)]) -> anyhow::Result<Output> {
    let mut command = Command::new(tools::program("cofferdam")?);
    if let Some(config) = config {
        let file = home.join("hostile.toml");
        std::fs::write(&file, config)?;
        command.arg("--config").arg(file);
    }
    command
        .arg("--data")
        .arg(home.join("data"))
        .args(args)
        .current_dir(home);
    command
        .env("COFFERDAM__CONFIG_DIR", home.join("config"))
        .stdin(Stdio::null());
    Ok(command.envs(env.iter().copied()).output()?)
}

fn refused(output: &Output, what: &str, says: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78), "{what}: {:?}: {text}", output.status);
    ensure!(!text.contains("panicked") && text.len() < 8_000, "{what}: {text}");
    ensure!(
        text.contains("configuration is not valid") && text.contains(says),
        "{what}: {text}"
    );
    Ok(())
}

/// Files and variables.
pub fn refused_with_78(home: &Path) -> anyhow::Result<()> {
    let nested = format!("a = {}", "[".repeat(300_000)).into_bytes();
    let huge = vec![b'#'; 2_000_000];
    for (what, config, says) in [
        ("not UTF-8", &b"data_dir = \"\xff\""[..], "hostile.toml"),
        ("NUL", b"data_dir = \"a\x00b\"", "hostile.toml"),
        ("a key twice", b"[s3]\nregion = \"a\"\nregion = \"b\"\n", "hostile.toml"),
        ("a wrong type", b"s3 = 7", "s3"),
        ("a mistyped key", b"[s3]\nregoin = \"a\"\n", "did you mean `region`?"),
        ("nested", &nested, "hostile.toml"),
        ("huge", &huge, "2000000 bytes"),
    ] {
        for args in [
            &["config", "check"][..],
            &["config", "show", "--origin"],
            &["up", "--quiet"],
        ] {
            let output = run(home, Some(config), args, &[])?;
            refused(&output, &format!("{what}, {args:?}"), says)?;
        }
    }
    // A variable's value is parsed by recursion: this once ended the process by a signal.
    let deep = OsString::from("[".repeat(100_000));
    for (name, value, says) in [
        (
            &b"COFFERDAM__TENANTS"[..],
            deep.as_os_str(),
            "COFFERDAM__TENANTS: is nested",
        ),
        (
            b"COFFERDAM__DATA_DIR",
            OsStr::from_bytes(b"\xff\xfe"),
            "COFFERDAM__DATA_DIR: is not UTF-8",
        ),
        (b"COFFERDAM__\xff", OsStr::new("1"), "is not UTF-8"),
        (
            b"COFFERDAM__LIMITS__CONCURRENCY",
            OsStr::new("many"),
            "limits.concurrency",
        ),
        (
            b"COFFERDAM__LIMITS__CONCURRENCY",
            OsStr::new("-1"),
            "limits.concurrency",
        ),
        (b"COFFERDAM__LIMITS", OsStr::new("{concurrency=}"), "limits"),
        (b"COFFERDAM__S3", OsStr::new(""), "s3"),
        (b"COFFERDAM__NO__SUCH__KEY", OsStr::new("1"), "unknown key"),
    ] {
        let name = OsStr::from_bytes(name);
        let output = run(home, None, &["config", "check"], &[(name, value)])?;
        refused(&output, &format!("{name:?}"), says)?;
    }
    // A file that is none.
    let output = Command::new(tools::program("cofferdam")?)
        .args(["--config", "/dev/zero", "config", "check"])
        .stdin(Stdio::null())
        .output()?;
    refused(&output, "a device", "no such file: /dev/zero")?;
    ensure!(!home.join("data").exists(), "nothing was begun");
    Ok(())
}
