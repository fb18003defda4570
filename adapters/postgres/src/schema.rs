//! The tables: their versions, and how they come about.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use crate::error::OpenError;

/// The migrations. The first one leads to version 1.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_queue.sql")];

/// The version of the tables that this crate reads and writes.
pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Locked by a migration while it runs: "plimsoll" in ASCII.
const LOCK: i64 = 0x706c_696d_736f_6c6c;

/// Makes the tables of queues in this schema, or brings them to the version of this crate. Does nothing if they have that
/// already. Returns the version that was found: 0 for none. The statements are the files of this crate's folder `migrations`.
///
/// All is done in one transaction, under an advisory lock: of two processes that migrate at the same time one waits for the
/// other.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut client, connection) =
///     tokio_postgres::connect("host=localhost user=owner dbname=app", tokio_postgres::NoTls).await?;
/// tokio::spawn(connection);
/// plimsoll_postgres::migrate(&mut client, "plimsoll").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`OpenError`]: the name is none of a schema, the database is not in UTF-8, the tables are of a later version, or the server refuses. Nothing has changed then.
pub async fn migrate(client: &mut Client, schema: &str) -> Result<u32, OpenError> {
    check_schema_name(schema)?;
    let transaction = client.transaction().await?;
    check_encoding(&transaction).await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let has_table = "SELECT to_regclass($1) IS NOT NULL";
    let has_table = transaction.query_one(has_table, &[&format!("\"{schema}\".migrations")]).await?;
    let found = if has_table.try_get(0)? { version(&transaction, schema).await? } else { 0 };
    if found > VERSION {
        return Err(OpenError::Version { found, expected: VERSION });
    }
    let is_missing = "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    // Not `IF NOT EXISTS`: that asks for the permission even where the schema is there.
    if transaction.query_one(is_missing, &[&schema]).await?.try_get(0)? {
        transaction.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    transaction.batch_execute(&format!("SET LOCAL search_path = \"{schema}\"")).await?;
    for (to, migration) in (1_i32..).zip(MIGRATIONS) {
        if i64::from(to) > i64::from(found) {
            transaction.batch_execute(migration).await?;
            transaction.execute("INSERT INTO migrations (version) VALUES ($1)", &[&to]).await?;
        }
    }
    transaction.commit().await?;
    Ok(found)
}

/// Checks the version of the tables, and the encoding of the database.
pub(crate) async fn check(client: &Client, schema: &str) -> Result<(), OpenError> {
    let found = version(client, schema).await?;
    if found != VERSION {
        return Err(OpenError::Version { found, expected: VERSION });
    }
    check_encoding(client).await
}

/// In a database without UTF-8 the text of an error may have a character that can't be stored, and its verdict would never arrive.
async fn check_encoding(client: &impl GenericClient) -> Result<(), OpenError> {
    let encoding = client.query_typed("SELECT current_setting('server_encoding')", &[]).await?;
    let encoding = encoding.first().map_or(Ok(String::new()), |row| row.try_get(0))?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding(encoding)) }
}

async fn version(client: &impl GenericClient, schema: &str) -> Result<u32, OpenError> {
    let version = format!("SELECT coalesce(max(version), 0) FROM \"{schema}\".migrations");
    match client.query_typed(&version, &[]).await {
        Ok(rows) => {
            let version: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
            Ok(u32::try_from(version).unwrap_or(0))
        }
        Err(error) => match error.code() {
            Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => {
                Err(OpenError::NoSchema(schema.to_owned()))
            }
            _ => Err(error.into()),
        },
    }
}

/// Schema names become part of statements: they are checked rather than escaped.
pub(crate) fn check_schema_name(name: &str) -> Result<(), OpenError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_name = name.len() <= 63
        && name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
    if is_name { Ok(()) } else { Err(OpenError::Name(format!("{name:?} is no name of a schema"))) }
}

pub(crate) fn check_queue_name(name: &str) -> Result<(), OpenError> {
    let is_name = (1..=255).contains(&name.len()) && !name.contains('\0');
    if is_name { Ok(()) } else { Err(OpenError::Name(format!("{name:?} is no name of a queue"))) }
}
