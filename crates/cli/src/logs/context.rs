//! `taffrail logs context`: the records around one record, in order of time.
use super::format::{FormatOptions, Printer};
use crate::{
    client::{Client, ServerOptions},
    failure::Failure,
    record::Record,
};
use anyhow::Result;
use clap::Args;
use serde::Deserialize;

const EXAMPLES: &str = "\
Examples:
  taffrail logs search --ids 'level:error'        shows the ids
  taffrail logs context 0f0c2b1e-1dc0-8001-8000-00000000002a
  taffrail logs context 0f0c2b1e-1dc0-8001-8000-00000000002a -B 50 -A 5
";

/// Arguments of `logs context`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct ContextArguments {
    /// Id of the record
    id: String,
    /// Records before it
    #[arg(short = 'B', long, value_name = "N", default_value_t = 10)]
    before: u32,
    /// Records after it
    #[arg(short = 'A', long, value_name = "N", default_value_t = 10)]
    after: u32,
    #[command(flatten)]
    form: FormatOptions,
    #[command(flatten)]
    pub(super) server: ServerOptions,
}

#[derive(Deserialize)]
struct ContextAnswer {
    before: Vec<Record>,
    record: Record,
    after: Vec<Record>,
    #[serde(default)]
    partial: bool,
}

/// Runs the command.
pub async fn run(arguments: ContextArguments) -> Result<()> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if arguments.id.is_empty() || !arguments.id.chars().all(is_id) {
        let text = format!(
            "{:?} is no record id; logs search --ids shows them",
            arguments.id
        );
        return Err(Failure::Usage(text).into());
    }
    let client = Client::new(&arguments.server)?;
    let path = format!("/api/v1/context/{}", arguments.id);
    let parameters = [
        ("before", arguments.before.to_string()),
        ("after", arguments.after.to_string()),
    ];
    let answer: ContextAnswer = client.get(&path, &parameters).await?;
    let mut records = answer.before;
    records.push(answer.record);
    records.extend(answer.after);
    let mut printer = Printer::open(&arguments.form, true)?;
    printer.print(&records, Some(&arguments.id))?;
    printer.finish()?;
    match answer.partial {
        true => Err(Failure::Partial.into()),
        false => Ok(()),
    }
}
