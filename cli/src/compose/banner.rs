//! What `cofferdam up` tells a person.

use std::path::Path;

use crate::instance::RunFile;

/// The text printed once everything runs.
pub fn ready(run: &RunFile, data_dir: &Path, moved: &[String], notices: &[String]) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line("Cofferdam is running.");
    line("");
    line(&format!(
        "  S3 endpoint    {}   region {}",
        run.s3.endpoint, run.s3.region
    ));
    line(&format!(
        "  credentials    {}   {}",
        run.s3.access_key_id, run.s3.secret_access_key
    ));
    line(&format!(
        "  drop files in  s3://{}/   or the folder {}",
        run.buckets.inbox, run.inbox_folder
    ));
    line(&format!(
        "  NATS           {}   (browsers: {})",
        run.nats.url, run.nats.websocket
    ));
    line(&format!(
        "  tenant login   {}   {}",
        run.nats.tenant.user, run.nats.tenant.password
    ));
    line(&format!("  health         {}/readyz   {}/metrics", run.http, run.http));
    line(&format!("  rows           sqlite3 {}", run.database));
    line(&format!("  for scripts    {}", RunFile::path(data_dir).display()));
    line("");
    for notice in moved.iter().chain(notices) {
        line(&format!("  note: {notice}"));
    }
    line("Drop a file (another terminal):");
    line("");
    let program = std::env::current_exe().map_or_else(|_| "cofferdam".to_owned(), |path| path.display().to_string());
    line(&format!(
        "  echo hello > hello.txt && {program} --data {} put hello.txt",
        data_dir.display()
    ));
    line("");
    line("Ctrl-C stops; the next start goes on where this one stopped.");
    text
}
