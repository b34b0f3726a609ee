//! Sets of made-up documents, written down in one file each.

use crate::secrets::example::expand;

/// A document with its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name, with a path.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The lines with a credential, from 1, ascending.
    pub marked: Vec<usize>,
}

/// Reads a set: `#== NAME` begins a document, `!! ` before a line marks it, `@{kind:length}` is filled in (see the head of
/// `rules/secrets.toml`). What stands before the first document is a comment.
pub fn parse(set: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    let mut number = 0;
    for line in expand(set).lines() {
        if let Some(name) = line.strip_prefix("#== ") {
            documents.push(Document {
                name: name.to_owned(),
                text: String::new(),
                marked: Vec::new(),
            });
            number = 0;
            continue;
        }
        let Some(document) = documents.last_mut() else { continue };
        number += 1;
        let plain = match line.strip_prefix("!! ") {
            Some(plain) => {
                document.marked.push(number);
                plain
            }
            None => line,
        };
        document.text.push_str(plain);
        document.text.push('\n');
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_marks() {
        let found = parse("comment\n#== a/b\nx\n!! y=@{digit:3}\n#== c\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].marked.as_slice()), ("a/b", &[2][..]));
        assert!(found[0].text.starts_with("x\ny=") && found[0].text.len() == 8);
    }
}
