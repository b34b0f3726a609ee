//! Trains the model. Deterministic: the same files give the same bytes.
//!
//! Texts come from `data/injection`: the shared development set, excerpts of crates (documents that are no attack, some of
//! which were taken for one), articles in many languages and own examples made from templates. Attacks are repeated in
//! disguise, and sentences are put into documents. Each class weighs the same in all; within a class a source counts by
//! the square root of its size. The learner is logistic regression with an L2 penalty, solved in the dual by coordinate
//! ascent (Shalev-Shwartz and Zhang, "SDCA", JMLR 14, 2013), over n-grams, counts, and products of two counts. An n-gram
//! is the cheaper the better it tells the sources of attacks from the others (naive Bayes log ratio), and a harmless text
//! is not pushed beyond a small chance of an attack. Of a document with several windows an attack gives its best one and
//! a harmless document its worst ones, chosen anew in each round (multiple-instance learning, mi-SVM: Andrews et al.,
//! NIPS 2002).

pub mod augment;
pub mod data;
pub mod examples;
mod fit;
mod prepare;
pub mod random;

pub use data::{Row, Set};
pub use fit::{Settings, fit};
pub use prepare::{Prepared, prepare};

use super::evaluate::{Folds, blank, thresholds};
use super::model::Model;
use super::{Injection, InjectionError};

/// The model: weights from all rows, thresholds from grouped cross-validation (some twenty trainings: a minute of one core).
///
/// # Errors
/// When the rule pack that is compiled in is wrong.
pub fn train(set: &Set, settings: &Settings) -> Result<Model, InjectionError> {
    let blank = blank(set)?;
    let (dev, extra) = (prepare(&blank, &set.dev), prepare(&blank, &set.extra));
    let folds = Folds::new(set, &blank, &dev, &extra, settings);
    let mut model = weigh(set, &blank, &dev, &extra, settings);
    (model.review, model.quarantine) = thresholds(set, &folds.by_source, |_| true);
    Ok(model)
}

fn weigh(set: &Set, blank: &Injection, dev: &[Prepared], extra: &[Prepared], settings: &Settings) -> Model {
    let rows: Vec<&Row> = set.dev.iter().chain(&set.extra).collect();
    let texts: Vec<&Prepared> = dev.iter().chain(extra).collect();
    Model::quantise(&fit(&rows, &texts, settings), blank.language(), set.hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::injection::model::BUILT_IN;

    /// Of the command `cargo xtask train injection` all but the thresholds, whose folds would take a minute.
    #[test]
    fn the_weights_are_those_of_data_and_code() {
        let set = Set::load().unwrap();
        let blank = blank(&set).unwrap();
        let (dev, extra) = (prepare(&blank, &set.dev), prepare(&blank, &set.extra));
        let mut model = weigh(&set, &blank, &dev, &extra, &Settings::default());
        let built_in = Model::parse(BUILT_IN).unwrap();
        (model.review, model.quarantine) = (built_in.review, built_in.quarantine);
        assert!(
            model.to_bytes() == BUILT_IN,
            "run `cargo xtask train injection` and look at the scores"
        );
    }
}
