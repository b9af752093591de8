//! `taffrail instances …`: MCP instances, and keys for whoever runs them.
use crate::{
    client::{Client, ServerOptions},
    table::{self, Column, TableFormat, cell, time_cell},
    users::{self, all_pages},
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  taffrail instances create figma-prod --service figma --user-id u-17
  taffrail instances key figma-prod > token
  taffrail instances list
  taffrail instances set-status figma-prod inactive
  taffrail instances delete figma-prod
";

/// Arguments of `instances`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct InstancesArguments {
    #[command(subcommand)]
    command: InstancesCommand,
}

#[derive(Subcommand, Debug)]
enum InstancesCommand {
    /// List the instances
    List {
        /// Deleted ones too, as long as their records can be read
        #[arg(long)]
        deleted: bool,
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Create an instance and print its id on stdout
    Create {
        /// Its id [default: a new UUID]
        id: Option<String>,
        /// What it serves
        #[arg(long)]
        service: Option<String>,
        /// Owner: the user_id of its records [default: your own, if you have exactly one]
        #[arg(long, value_name = "USER_ID")]
        user_id: Option<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Create a key that writes the records of an instance, and print it on stdout, this once
    Key {
        /// Id of the instance
        id: String,
        /// What the key is for
        #[arg(long, default_value = "taffrail run")]
        name: String,
        /// Account that the key belongs to, which must own the instance [default: your own]
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Say whether an instance works; records of one that does not are refused
    SetStatus {
        /// Id of the instance
        id: String,
        /// New status
        status: Status,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete an instance; its keys end, its records can be read for seven days more
    Delete {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// A status, as the server names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    /// It works and its records are taken
    Active,
    /// It is switched off
    Inactive,
    /// Its time or its credentials ran out
    Expired,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Expired => "expired",
        }
    }
}

const COLUMNS: &[Column] = &[
    ("ID", |row| cell(row, "id")),
    ("SERVICE", |row| cell(row, "service")),
    ("OWNER", |row| cell(row, "user_id")),
    ("STATE", state),
    ("CREATED", |row| time_cell(row, "created_at")),
    ("RECORDS UNTIL", |row| time_cell(row, "records_until")),
];

fn state(row: &Value) -> String {
    match row["deleted_at"].is_null() {
        true => cell(row, "status"),
        false => "deleted".into(),
    }
}

#[derive(Deserialize)]
struct Instances {
    instances: Vec<Value>,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct MadeKey {
    secret: String,
}

/// Runs the command.
pub async fn run(arguments: InstancesArguments) -> Result<()> {
    match arguments.command {
        InstancesCommand::List {
            deleted,
            format,
            server,
        } => {
            let client = Client::new(&server)?;
            let path = format!("/api/v1/mcps?deleted={deleted}");
            let entries = |page: Instances| page.instances;
            let instances = all_pages(&client, &path, "number", entries).await?;
            table::print(format, COLUMNS, &instances)
        }
        InstancesCommand::Create {
            id,
            service,
            user_id,
            server,
        } => {
            let body = json!({ "id": id, "service": service, "user_id": user_id });
            let client = Client::new(&server)?;
            let made: Made = client
                .send_json(Method::POST, "/api/v1/mcps", &body)
                .await?;
            print(&made.id)
        }
        InstancesCommand::Key {
            id,
            name,
            user,
            server,
        } => {
            let client = Client::new(&server)?;
            let mut body = json!({ "name": name });
            if let Some(user) = &user {
                body["account"] = json!(users::account_id(&client, user).await?);
            }
            let path = format!("{}/keys", path(&id));
            let made: MadeKey = client.send_json(Method::POST, &path, &body).await?;
            eprintln!("taffrail: created a key of {id}; it is shown this once");
            print(&made.secret)
        }
        InstancesCommand::SetStatus { id, status, server } => {
            let client = Client::new(&server)?;
            let body = json!({ "status": status.name() });
            let path = path(&id);
            let _: Value = client.send_json(Method::PATCH, &path, &body).await?;
            eprintln!("taffrail: {id} is {}", status.name());
            Ok(())
        }
        InstancesCommand::Delete { id, server } => {
            let client = Client::new(&server)?;
            client.delete(&path(&id)).await?;
            eprintln!("taffrail: deleted {id}; its records can be read for seven days");
            Ok(())
        }
    }
}

/// The path of an instance, whatever its id is written with.
fn path(id: &str) -> String {
    let mut path = "/api/v1/mcps/".to_owned();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => {
                path.push(char::from(byte));
            }
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("writing the answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_part_of_a_path() {
        assert_eq!(path("figma-prod.2_b"), "/api/v1/mcps/figma-prod.2_b");
        assert_eq!(path("a/../b?c d"), "/api/v1/mcps/a%2F..%2Fb%3Fc%20d");
    }

    #[test]
    fn a_deleted_instance_is_told_as_one() {
        assert_eq!(state(&json!({"status": "expired"})), "expired");
        let deleted = json!({"status": "active", "deleted_at": "2026-01-04T00:00:00Z"});
        assert_eq!(state(&deleted), "deleted");
    }
}
