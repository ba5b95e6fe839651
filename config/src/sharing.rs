//! What passes between accounts, once all of them are known. Whether an import is allowed and leads nowhere in a
//! circle is found when the accounts are compiled.

use crate::options::{Account, Export, ExportKind, Import, ResponseType};
use crate::reader::Reader;
use crate::subject::is_literal;
use crate::value::Position;
use std::collections::{HashMap, HashSet};

/// What the check needs beyond the accounts.
#[derive(Default)]
pub(crate) struct Sharing {
    /// Where imports stand, by account.
    pub(crate) import_positions: HashMap<String, Vec<Position>>,
}

/// Checks exports, then imports, streams before services, as upstream does. `position` is where the accounts
/// stand: upstream says no more.
pub(crate) fn check_sharing(
    reader: &mut Reader,
    position: &Position,
    accounts: &[Account],
    sharing: &Sharing,
    no_system_account: bool,
) {
    let names: HashSet<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    for account in accounts {
        for export in &account.exports {
            check_export(reader, position, export, &names, no_system_account);
        }
    }
    for account in accounts {
        let positions = sharing.import_positions.get(&account.name);
        let mut services = HashMap::new();
        for (index, import) in account.imports.iter().enumerate() {
            let noun = if import.is_service { "service" } else { "stream" };
            if !names.contains(import.account.as_str()) {
                let text = format!("{:?} account not defined for {noun} import", import.account);
                reader.error(position, text);
            }
            let place = positions.and_then(|positions| positions.get(index)).unwrap_or(position);
            if import.is_service {
                check_twice(reader, place, import, &mut services);
            }
        }
    }
}

/// A subject can be asked in one account only.
fn check_twice<'a>(
    reader: &mut Reader,
    position: &Position,
    import: &'a Import,
    services: &mut HashMap<&'a str, &'a Import>,
) {
    let local = import.to.as_ref().unwrap_or(&import.subject);
    if let Some(before) = services.insert(local, import) {
        let text = format!(
            "Duplicate service import subject {local:?}, previously used in import for account {:?}, subject {:?}",
            before.account, before.subject
        );
        reader.error(position, text);
    }
}

fn check_export(
    reader: &mut Reader,
    position: &Position,
    export: &Export,
    names: &HashSet<&str>,
    no_system_account: bool,
) {
    let noun = if export.kind == ExportKind::Stream { "stream" } else { "service" };
    for name in export.accounts.iter().flatten().filter(|name| !names.contains(name.as_str())) {
        reader.error(position, format!("{name:?} account not defined for {noun} export"));
    }
    let subject = &export.subject;
    if let Some(token) = export.account_token_position {
        let token = token.checked_sub(1).and_then(|index| subject.split('.').nth(index));
        if token != Some("*") {
            reader
                .error(position, format!("Error adding {noun} export {subject:?}: sublist: invalid subject"));
            return;
        }
    }
    let ExportKind::Service { response, latency: Some(latency), .. } = &export.kind else { return };
    let results = &latency.subject;
    let text = if no_system_account {
        format!("Error adding service latency sampling for {subject:?}: system account not setup")
    } else if !is_literal(results) {
        format!(
            "Error adding service latency sampling for {subject:?} on subject {results:?}: invalid publish subject"
        )
    } else if *response != ResponseType::Singleton {
        format!(
            "Error adding service latency sampling for {subject:?} on subject {results:?}: bad service response type"
        )
    } else {
        return;
    };
    reader.error(position, text);
}
