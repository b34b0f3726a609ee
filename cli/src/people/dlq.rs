//! `cofferdam dlq`: what could not be processed, as the operator.

use cofferdam_nats::{Bus, Login, dlq};

use crate::args::{Dlq, Global};
use crate::client::data_dir;
use crate::instance::RunFile;
use crate::output::{Exit, Failure, Table, json_line, printable};

async fn operator(global: &Global) -> Result<Bus, Failure> {
    let run = RunFile::read(&data_dir(global)).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let login = run.nats.operator;
    let login = Login {
        url: run.nats.url,
        user: login.user,
        password: login.password.into(),
        role: "operator".to_owned(),
    };
    Bus::connect_within(login, std::time::Duration::from_secs(3))
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))
}

/// Lists, shows, replays.
pub async fn run(global: &Global, command: &Dlq) -> Result<Exit, Failure> {
    let bus = operator(global).await?;
    let end = act(global, &bus, command).await;
    bus.close().await;
    end
}

async fn act(global: &Global, bus: &Bus, command: &Dlq) -> Result<Exit, Failure> {
    match command {
        Dlq::Ls { fail_if_any } => {
            let letters = dlq::list(bus, &dlq::Filter::default()).await?;
            if global.json {
                letters.iter().try_for_each(json_line)?;
            } else if letters.is_empty() {
                eprintln!("no dead letters");
            } else {
                let mut table = Table::new(&[">seq", "at", "tenant", "consumer", ">tries", "reason", "about"]);
                for letter in &letters {
                    let tenant = letter
                        .tenant
                        .as_ref()
                        .map_or_else(|| "-".to_owned(), ToString::to_string);
                    let about = letter.about.clone().unwrap_or_else(|| letter.subject.clone());
                    table.row([
                        letter.seq.to_string(),
                        letter.at.to_string(),
                        tenant,
                        letter.consumer.clone(),
                        letter.deliveries.to_string(),
                        letter.reason.clone(),
                        about,
                    ]);
                }
                print!("{table}");
                eprintln!("`cofferdam dlq show SEQ` shows one, `cofferdam dlq replay SEQ` publishes it again");
            }
            Ok(if *fail_if_any && !letters.is_empty() {
                Exit::Checks
            } else {
                Exit::Ok
            })
        }
        Dlq::Show { seq } => {
            let letter = dlq::show(bus, *seq).await?;
            let body = String::from_utf8_lossy(&letter.body);
            let body = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_else(|_| body.into_owned().into());
            let mut value = serde_json::to_value(&letter)?;
            value["body"] = body;
            if global.json {
                json_line(&value)?;
            } else {
                for name in [
                    "seq",
                    "at",
                    "stream",
                    "stream_seq",
                    "consumer",
                    "deliveries",
                    "reason",
                    "error",
                    "subject",
                    "message_id",
                    "first_at",
                    "about",
                ] {
                    let text = value[name]
                        .as_str()
                        .map_or_else(|| value[name].to_string(), str::to_owned);
                    println!("{name:<12} {}", printable(&text));
                }
                println!("{}", serde_json::to_string_pretty(&value["body"])?);
            }
            Ok(Exit::Ok)
        }
        Dlq::Replay { seq, all } => {
            if seq.is_empty() != *all {
                return Err(Failure::text(
                    Exit::Failure,
                    "name dead letters by number, or say --all, not both",
                ));
            }
            let seqs = if *all {
                dlq::list(bus, &dlq::Filter::default())
                    .await?
                    .iter()
                    .map(|letter| letter.seq)
                    .collect()
            } else {
                seq.clone()
            };
            for seq in seqs {
                let published = dlq::replay(bus, seq).await?;
                if global.json {
                    json_line(
                        &serde_json::json!({"replayed": seq, "sequence": published.seq, "duplicate": published.duplicate}),
                    )?;
                } else {
                    println!("replayed {seq}");
                }
            }
            Ok(Exit::Ok)
        }
    }
}
