//! `taffrail users …`: accounts, for admins.
use crate::{
    client::{Client, ServerOptions},
    failure::Failure,
    password,
    table::{self, Column, TableFormat, cell, time_cell},
};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Entries of one page: the most that the server gives.
const PAGE_ENTRIES: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  taffrail users list
  taffrail users add maria --own-id u-17
  taffrail users own-ids maria u-17 u-18
  taffrail users set-password maria < password.txt
";

/// Arguments of `users`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct UsersArguments {
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Subcommand, Debug)]
enum UsersCommand {
    /// List the accounts
    List {
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        format: TableFormat,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Add an account; the password is asked for or read from stdin
    Add {
        /// Login name
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t)]
        role: RoleName,
        /// A user_id whose records are its own; may be repeated
        #[arg(long = "own-id", value_name = "USER_ID")]
        own_ids: Vec<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change the role of an account
    SetRole {
        /// Login name
        name: String,
        /// New role
        role: RoleName,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change the password of an account; it is asked for or read from stdin
    SetPassword {
        /// Login name
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Keep an account from logging in and refuse its keys
    Disable {
        /// Login name
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Let a disabled account in again
    Enable {
        /// Login name
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Set whose records are an account's own; without ids: nobody's
    OwnIds {
        /// Login name
        name: String,
        /// user_ids, replacing those it had
        #[arg(value_name = "USER_ID")]
        own_ids: Vec<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// A role, as the server names it.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RoleName {
    /// Sees its own records
    #[default]
    User,
    /// Sees and administers everything
    Admin,
}

impl RoleName {
    fn name(self) -> &'static str {
        match self {
            RoleName::User => "user",
            RoleName::Admin => "admin",
        }
    }
}

const COLUMNS: &[Column] = &[
    ("ID", |row| cell(row, "id")),
    ("NAME", |row| cell(row, "name")),
    ("ROLE", |row| cell(row, "role")),
    ("STATE", |row| state(row).into()),
    ("OWN IDS", |row| cell(row, "own_user_ids")),
    ("CREATED", |row| time_cell(row, "created_at")),
];

fn state(row: &Value) -> &'static str {
    match row["is_disabled"].as_bool() {
        Some(true) => "disabled",
        _ => "active",
    }
}

#[derive(Deserialize)]
struct Users {
    users: Vec<Value>,
}

/// Runs the command.
pub async fn run(arguments: UsersArguments) -> Result<()> {
    match arguments.command {
        UsersCommand::List { format, server } => {
            let users = list(&Client::new(&server)?).await?;
            table::print(format, COLUMNS, &users)
        }
        UsersCommand::Add {
            name,
            role,
            own_ids,
            server,
        } => {
            let client = Client::new(&server)?;
            let password = password::read_new(&name)?;
            let body = json!({
                "name": name,
                "password": password,
                "role": role.name(),
                "own_user_ids": own_ids,
            });
            let _: Value = client
                .send_json(Method::POST, "/api/v1/users", &body)
                .await?;
            eprintln!("taffrail: added {name}");
            Ok(())
        }
        UsersCommand::SetRole { name, role, server } => {
            change(&server, &name, json!({"role": role.name()})).await
        }
        UsersCommand::SetPassword { name, server } => {
            let password = password::read_new(&name)?;
            change(&server, &name, json!({"password": password})).await
        }
        UsersCommand::Disable { name, server } => {
            change(&server, &name, json!({"is_disabled": true})).await
        }
        UsersCommand::Enable { name, server } => {
            change(&server, &name, json!({"is_disabled": false})).await
        }
        UsersCommand::OwnIds {
            name,
            own_ids,
            server,
        } => change(&server, &name, json!({"own_user_ids": own_ids})).await,
    }
}

async fn list(client: &Client) -> Result<Vec<Value>> {
    all_pages(client, "/api/v1/users", "id", |page: Users| page.users).await
}

/// Every entry of a list that the server gives in pages by `number`.
pub async fn all_pages<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    number: &str,
    entries: impl Fn(T) -> Vec<Value>,
) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all
            .last()
            .and_then(|last| last[number].as_i64())
            .unwrap_or(0);
        let parameters = [
            ("limit", PAGE_ENTRIES.to_string()),
            ("after", after.to_string()),
        ];
        let page = entries(client.get(path, &parameters).await?);
        let is_last = page.len() < PAGE_ENTRIES;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

async fn change(server: &ServerOptions, name: &str, change: Value) -> Result<()> {
    let client = Client::new(server)?;
    let id = account_id(&client, name).await?;
    let path = format!("/api/v1/users/{id}");
    let _: Value = client.send_json(Method::PATCH, &path, &change).await?;
    eprintln!("taffrail: changed {name}");
    Ok(())
}

/// The number of an account; names are unique whatever the case.
pub async fn account_id(client: &Client, name: &str) -> Result<i64> {
    let users = list(client).await?;
    let found = users.iter().find(|user| {
        let have = user["name"].as_str();
        have.is_some_and(|have| have.eq_ignore_ascii_case(name))
    });
    found
        .and_then(|user| user["id"].as_i64())
        .ok_or_else(|| Failure::Usage(format!("there is no account {name:?}")).into())
}
