//! Finds the variable behind the parameter `conn_tab_bits` and reads its initial value.
//!
//! By its symbol, by its entry in `__param`, or by both, which must then lead to the same place.

use super::image::{Image, Place};
use super::{Error, Finding, Kind, LARGEST, PARAMETER, SMALLEST, VARIABLE};

const SECTION: &str = "__param";
/// Where an entry of `__param` keeps the variable's address, in words behind the name's. The first place that leads
/// into the module is it: the others are numbers and the kernel's own functions. Before 2.6.36 an entry is name,
/// permissions, set, get, address; then name, ops, permissions, address; since 4.2 name, module, ops, permissions,
/// address.
const ADDRESS: [u64; 2] = [3, 4];

/// The parameter's entry in `__param`.
struct Entry {
    at: Place,
    /// The variable that it sets, if it leads into the module.
    variable: Option<Place>,
}

/// The initial value of the parameter, or nothing if the module has no such parameter.
pub(super) fn find(image: &Image<'_>) -> Result<Option<Finding>, Error> {
    let symbols = image.variables(VARIABLE);
    let entries = entries(image)?;
    let by_entry = entries.iter().filter_map(|entry| entry.variable);
    let mut places: Vec<Place> = symbols.iter().map(|symbol| symbol.place).chain(by_entry).collect();
    places.sort_unstable();
    places.dedup();
    let place = match places.as_slice() {
        [] if entries.is_empty() => return Ok(None),
        [] => return Err(Error::NoVariable),
        [place] => *place,
        _ => {
            let places = places.iter().map(|place| image.location(*place)).collect();
            return Err(Error::Disagree { places });
        }
    };
    let location = image.location(place);
    if let Some(odd) = symbols.iter().find(|symbol| !matches!(symbol.size, 0 | 4)) {
        return Err(Error::OddVariable { location, size: odd.size });
    }
    // What takes no room in the file is zero when the module is loaded.
    let value = image.int(place)?.unwrap_or(0);
    let Ok(bits @ SMALLEST..=LARGEST) = u32::try_from(value) else {
        return Err(Error::OutOfRange { location, value });
    };
    let subject = if symbols.is_empty() { "the variable".to_owned() } else { format!("`{VARIABLE}`") };
    let set_by = entries
        .iter()
        .find(|entry| entry.variable.is_some())
        .map(|entry| format!(", set by `{PARAMETER}` in {},", image.location(entry.at)))
        .unwrap_or_default();
    let evidence = format!("{subject} in {location}{set_by} holds {bits}");
    Ok(Some(Finding { kind: Kind::Parameter, bits, bucket: None, evidence }))
}

/// The entries in `__param` that have the parameter's name: one, if the module is sound.
fn entries(image: &Image<'_>) -> Result<Vec<Entry>, Error> {
    let Some(section) = image.section(SECTION)? else {
        return Ok(Vec::new());
    };
    let relocations = image.relocations(&section)?;
    // What is built into the kernel is prefixed with its module's name.
    let names_it =
        |to: Place| image.text(to).is_some_and(|text| matches!(text, b"conn_tab_bits" | b"ip_vs.conn_tab_bits"));
    let names = relocations.iter().filter(|relocation| relocation.to.is_some_and(names_it));
    let entries = names.map(|name| {
        let addresses = ADDRESS.map(|words| name.at.saturating_add(words * image.word()));
        let variable = relocations.iter().filter(|other| addresses.contains(&other.at)).find_map(|other| other.to);
        Entry { at: Place { section: section.index, offset: name.at }, variable }
    });
    Ok(entries.collect())
}
