//! The list of processors, alphabetical. A new one is a folder beside this one, a dependency line and a line here.

use cofferdam_processor::Registration;
use cofferdam_schemas::IdError;

/// All processors this build has.
pub fn list() -> Result<Vec<Registration>, IdError> {
    Ok(vec![
        Registration::of::<cofferdam_encrypt::Encrypt>(cofferdam_encrypt::VERBS)?,
        Registration::of::<cofferdam_validate::Validate>(&[])?,
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    /// Folders beside this one that are no processors.
    const OTHERS: [&str; 2] = ["contract", "src"];

    #[test]
    fn every_folder_is_in_the_list_and_the_list_is_in_order() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap());
        let folders =
            entries.filter(|entry| entry.path().join("Cargo.toml").is_file() || entry.path().join("src").is_dir());
        let mut folders: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        folders.retain(|name| !OTHERS.contains(&name.as_str()));
        folders.sort();
        let names: Vec<String> = super::list()
            .unwrap()
            .iter()
            .map(|line| line.name.to_string())
            .collect();
        assert_eq!(names, folders);
    }

    #[test]
    fn names_and_verbs_are_unique() {
        let list = super::list().unwrap();
        let mut names: Vec<&str> = list.iter().map(|line| line.name.as_str()).collect();
        names.extend(list.iter().flat_map(|line| line.verbs.iter().copied()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a verb and a processor share subjects and durables");
    }
}
