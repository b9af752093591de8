//! `taffrail keys …`: API keys.
use crate::{
    client::{Client, ServerOptions},
    failure::Failure,
    table::{self, Column, TableFormat, cell, time_cell},
    users,
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;
use taffrail_model::{
    clock::{Clock, SystemClock},
    time::{Timestamp, parse_duration, parse_time},
};

const EXAMPLES: &str = "\
Examples:
  taffrail keys create shipper --ingest 'app.*' --expires 90d > token
  taffrail keys create dashboard --read '*'
  taffrail keys list
  taffrail keys revoke 3
";

/// Arguments of `keys`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// List the keys
    List {
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Create a key and print it on stdout, this once
    Create(CreateArguments),
    /// Make a key invalid, at once and for ever
    Revoke {
        /// Number of the key
        id: i64,
        #[command(flatten)]
        server: ServerOptions,
    },
}

#[derive(Args, Debug)]
struct CreateArguments {
    /// What it is for
    name: String,
    /// May only send, to these streams; `*` at the end is a prefix
    #[arg(
        long,
        value_name = "STREAM",
        value_delimiter = ',',
        conflicts_with = "read"
    )]
    ingest: Vec<String>,
    /// May only read these streams; `*` at the end is a prefix
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    read: Vec<String>,
    /// Account that the key belongs to [default: your own]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// When it ends: 90d, or a date [default: never]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    server: ServerOptions,
}

const COLUMNS: &[Column] = &[
    ("ID", |row| cell(row, "id")),
    ("NAME", |row| cell(row, "name")),
    ("ACCOUNT", |row| cell(row, "account")),
    ("SCOPE", |row| scope(&row["scope"])),
    ("STATE", |row| state(row).into()),
    ("EXPIRES", |row| time_cell(row, "expires_at")),
    ("LAST USED", |row| time_cell(row, "last_used_at")),
];

fn scope(value: &Value) -> String {
    let parts = ["scope", "streams", "instance"].map(|name| cell(value, name));
    let said: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said.join(" ")
}

fn state(row: &Value) -> &'static str {
    if row["revoked_at"].is_null() {
        "valid"
    } else {
        "revoked"
    }
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Created {
    secret: String,
}

/// Runs the command.
pub async fn run(arguments: KeysArguments) -> Result<()> {
    match arguments.command {
        KeysCommand::List { format, server } => {
            let client = Client::new(&server)?;
            let keys =
                users::all_pages(&client, "/api/v1/keys", "id", |page: Keys| page.keys).await?;
            table::print(format, COLUMNS, &keys)
        }
        KeysCommand::Create(arguments) => create(arguments).await,
        KeysCommand::Revoke { id, server } => {
            let client = Client::new(&server)?;
            client.delete(&format!("/api/v1/keys/{id}")).await?;
            eprintln!("taffrail: revoked key {id}");
            Ok(())
        }
    }
}

async fn create(arguments: CreateArguments) -> Result<()> {
    let scope = if !arguments.ingest.is_empty() {
        json!({"scope": "ingest", "streams": arguments.ingest})
    } else if !arguments.read.is_empty() {
        json!({"scope": "read", "streams": arguments.read})
    } else {
        json!({"scope": "full"})
    };
    let mut body = json!({"name": arguments.name, "scope": scope});
    if let Some(text) = &arguments.expires {
        body["expires_at"] = json!(expiry(text, SystemClock.now())?.to_rfc3339());
    }
    let client = Client::new(&arguments.server)?;
    if let Some(user) = &arguments.user {
        body["account"] = json!(users::account_id(&client, user).await?);
    }
    let created: Created = client
        .send_json(Method::POST, "/api/v1/keys", &body)
        .await?;
    eprintln!(
        "taffrail: created key {}; it is shown this once",
        arguments.name
    );
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", created.secret).context("writing the key")
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp> {
    let time = match parse_duration(text) {
        Ok(length) => now.0.checked_add(length).map(Timestamp),
        Err(_) => parse_time(text, now, &TimeZone::system()).ok(),
    };
    match time {
        Some(time) if time > now => Ok(time),
        _ => {
            let text =
                format!("--expires {text:?} must be a time to come, such as 90d or 2030-01-01");
            Err(Failure::Usage(text).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::time::NS_PER_DAY;

    #[test]
    fn a_key_expires_in_the_future() {
        let now = Timestamp(1_000 * NS_PER_DAY);
        let expected = Timestamp(1_090 * NS_PER_DAY);
        assert_eq!(expiry("90d", now).unwrap(), expected);
        assert!(expiry("2030-01-01", now).is_ok());
        for bad in ["1970-01-01", "now", "later", ""] {
            assert!(expiry(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_are_told_in_words() {
        assert_eq!(scope(&json!({"scope": "full"})), "full");
        let ingest = json!({"scope": "ingest", "streams": ["app.*", "errors"]});
        assert_eq!(scope(&ingest), "ingest app.*, errors");
        let instance = json!({"scope": "instance", "instance": "figma-prod"});
        assert_eq!(scope(&instance), "instance figma-prod");
    }
}
