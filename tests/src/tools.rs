//! Where the programs are that tests start.

use std::path::PathBuf;

/// A program of this workspace, beside the running test or demo.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let place = own
        .ancestors()
        .skip(1)
        .take(3)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    place.ok_or_else(|| {
        anyhow::anyhow!(
            "no program {name} beside {}: run `cargo build --workspace` first",
            own.display()
        )
    })
}

/// The nats-server program, or why there is none.
pub fn nats_server() -> Result<PathBuf, String> {
    find("COFFERDAM_NATS_SERVER", "nats-server")
        .ok_or_else(|| "no nats-server: run through `cargo xtask test`, or set COFFERDAM_NATS_SERVER".to_owned())
}

/// A program by environment variable, else on `PATH`.
pub fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}
