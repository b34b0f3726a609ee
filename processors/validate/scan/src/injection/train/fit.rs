//! Logistic regression by dual coordinate ascent, over the windows that count.

use std::collections::BTreeMap;

use super::data::Row;
use super::prepare::{Prepared, Window};
use super::random::Random;
use crate::injection::features::DENSE;
use crate::injection::model::{LEARNT, Weights, dot};

/// How to train.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Inverse of the penalty, per text of mean weight.
    pub cost: f32,
    /// Factor on the dense features: how cheap they are against n-grams.
    pub dense: f32,
    /// Passes over the windows in a round.
    pub epochs: usize,
    /// Rounds of choosing windows.
    pub rounds: usize,
    /// Power of a source's size that it weighs.
    pub source_power: f32,
    /// Total weight of the attacks against that of the harmless texts.
    pub attack_weight: f32,
    /// An n-gram or a pair that stands in fewer sources is left out: it says where a text is from, not what it wants.
    pub sources: usize,
    /// Power of the log ratio of an n-gram or a pair that it is scaled by: how cheap those are that tell the sources of attacks from the others.
    pub ratio: f32,
    /// Chance of an attack that a harmless text is trained to have (one-sided label smoothing: Szegedy et al., CVPR 2016). What is surely
    /// harmless has then no more to teach.
    pub doubt: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cost: 1.5,
            dense: 0.7,
            epochs: 30,
            rounds: 2,
            source_power: 0.5,
            attack_weight: 1.0,
            sources: 2,
            ratio: 0.5,
            doubt: 0.05,
        }
    }
}

impl Weights {
    /// Log-odds of one window.
    pub fn window(&self, window: &Window) -> f32 {
        let grams: f32 = window
            .grams
            .iter()
            .map(|(row, value)| self.rows[*row as usize] * value)
            .sum();
        self.bias + grams + dot(&window.dense, &self.dense)
    }

    /// Log-odds of a text, as the scanner computes them.
    pub fn text(&self, text: &Prepared) -> f32 {
        let mut start = 0;
        let mut best = f32::NEG_INFINITY;
        for (end, chunks) in &text.forms {
            let odds = text.windows[start..*end].iter().map(|window| self.window(window));
            let penalty = self.length_penalty * (*chunks.max(&1) as f32).ln();
            best = best.max(odds.fold(f32::NEG_INFINITY, f32::max) - penalty);
            start = *end;
        }
        best
    }
}

/// Weight of each text: classes balanced, sources tempered. The mean is 1.
pub fn weigh(rows: &[&Row], settings: &Settings) -> Vec<f32> {
    let mut sizes = BTreeMap::new();
    for row in rows {
        *sizes
            .entry((row.label, row.family.as_str(), row.group()))
            .or_insert(0usize) += 1;
    }
    let raw: Vec<f32> = rows
        .iter()
        .map(|row| (sizes[&(row.label, row.family.as_str(), row.group())] as f32).powf(settings.source_power - 1.0))
        .collect();
    let total = |label: u8| -> f32 {
        rows.iter()
            .zip(&raw)
            .filter(|(row, _)| row.label == label)
            .map(|(_, w)| w)
            .sum()
    };
    let (attacks, harmless) = (total(1).max(1e-6), total(0).max(1e-6));
    let share = settings.attack_weight / (1.0 + settings.attack_weight);
    let n = rows.len() as f32;
    rows.iter()
        .zip(raw)
        .map(|(row, w)| {
            if row.attack() {
                w * share * n / attacks
            } else {
                w * (1.0 - share) * n / harmless
            }
        })
        .collect()
}

/// One window in training.
struct Case<'a> {
    window: &'a Window,
    /// Of its n-grams those that are learnt from, scaled.
    grams: Vec<(u32, f32)>,
    attack: bool,
    cost: f32,
}

fn solve(cases: &[Case<'_>], weights: &mut Weights, settings: &Settings) {
    let dense = settings.dense;
    let mut alpha = vec![0f32; cases.len()];
    weights.rows.fill(0.0);
    let mut w_dense = [0f32; DENSE];
    let mut bias = 0f32;
    let mut order: Vec<usize> = (0..cases.len()).collect();
    let mut random = Random::new(4711);
    let norms: Vec<f32> = cases
        .iter()
        .map(|case| {
            let grams: f32 = case.grams.iter().map(|(_, value)| value * value).sum();
            1.0 + grams + dense * dense * case.window.dense.iter().map(|value| value * value).sum::<f32>()
        })
        .collect();
    for _ in 0..settings.epochs {
        random.shuffle(&mut order);
        for &at in &order {
            let case = &cases[at];
            let sign = if case.attack { 1.0 } else { -1.0 };
            let grams: f32 = case
                .grams
                .iter()
                .map(|(row, value)| weights.rows[*row as usize] * value)
                .sum();
            let margin = sign
                * (bias
                    + grams
                    + dense
                        * case
                            .window
                            .dense
                            .iter()
                            .zip(&w_dense)
                            .map(|(value, weight)| value * weight)
                            .sum::<f32>());
            // towards the dual optimum of this coordinate, by the step that surely gains (SDCA for smooth losses)
            let doubt = if case.attack { 0.0 } else { settings.doubt };
            let target = case.cost * (1.0 / (1.0 + margin.exp()) - doubt);
            let step = (target - alpha[at]) / (1.0 + norms[at] * case.cost / 4.0);
            if step.abs() < 1e-6 {
                continue;
            }
            alpha[at] += step;
            let change = sign * step;
            for (row, value) in &case.grams {
                weights.rows[*row as usize] += change * value;
            }
            for (weight, value) in w_dense.iter_mut().zip(&case.window.dense) {
                *weight += change * dense * value;
            }
            bias += change;
        }
    }
    weights.bias = bias;
    weights.dense = w_dense.map(|weight| weight * dense);
}

/// Harmless windows of one text that are trained on in a round.
const HARD: usize = 4;

/// Sources that one n-gram or pair stands in.
#[derive(Clone, Copy, Default)]
struct Seen<'a> {
    last: Option<(&'a str, bool)>,
    attack: f32,
    harmless: f32,
    any: usize,
}

/// Factor on each n-gram and pair; 0 leaves it out.
///
/// It is the naive Bayes log ratio of both classes (Wang and Manning, "Baselines and bigrams", ACL 2012), with sources counted in place of
/// texts: what one source repeats counts once. The penalty then holds back what stands in as many harmless sources as in sources of attacks.
fn scales(rows: &[&Row], texts: &[&Prepared], settings: &Settings) -> Vec<f32> {
    let mut by_source = BTreeMap::<(&str, bool), Vec<&Prepared>>::new();
    for (row, text) in rows.iter().zip(texts) {
        by_source.entry((row.group(), row.attack())).or_default().push(text);
    }
    let mut seen = vec![Seen::default(); LEARNT];
    for (source, texts) in &by_source {
        let windows = texts.iter().flat_map(|text| &text.windows);
        for (row, _) in windows.flat_map(|window| &window.grams) {
            let seen = &mut seen[*row as usize];
            if seen.last == Some(*source) {
                continue;
            }
            // a source of both classes is one
            seen.any += usize::from(seen.last.is_none_or(|(name, _)| name != source.0));
            seen.last = Some(*source);
            *(if source.1 { &mut seen.attack } else { &mut seen.harmless }) += 1.0;
        }
    }
    let attacks = by_source.keys().filter(|(_, attack)| *attack).count() as f32;
    let harmless = by_source.len() as f32 - attacks;
    let kept = |seen: &Seen<'_>| seen.any >= settings.sources;
    let mut scales: Vec<f32> = seen
        .iter()
        .map(|seen| {
            if !kept(seen) {
                return 0.0;
            }
            let ratio = (seen.attack + 0.5) / (attacks + 1.0) * (harmless + 1.0) / (seen.harmless + 0.5);
            ratio.ln().abs().powf(settings.ratio)
        })
        .collect();
    // together they are as long as without the factor, so that the cost means the same
    let (mut with, mut without) = (0f64, 0f64);
    for (row, value) in texts
        .iter()
        .filter_map(|text| text.windows.first())
        .flat_map(|window| &window.grams)
        .filter(|(row, _)| kept(&seen[*row as usize]))
    {
        let square = f64::from(value * value);
        with += square * f64::from(scales[*row as usize]).powi(2);
        without += square;
    }
    let unit = (without / with.max(1e-9)).sqrt() as f32;
    scales.iter_mut().for_each(|scale| *scale *= unit);
    scales
}

/// Trains on `texts`.
pub fn fit(rows: &[&Row], texts: &[&Prepared], settings: &Settings) -> Weights {
    let costs = weigh(rows, settings);
    let scales = scales(rows, texts, settings);
    let mut weights = Weights {
        bias: 0.0,
        dense: [0.0; DENSE],
        rows: vec![0.0; LEARNT],
        length_penalty: 0.0,
    };
    for round in 0..settings.rounds.max(1) {
        let mut cases = Vec::new();
        for ((row, text), cost) in rows.iter().zip(texts).zip(&costs) {
            let cost = cost * settings.cost;
            let shown = text.windows.iter().enumerate().filter(|(at, _)| text.shows(*at));
            let mut ranked: Vec<(f32, &Window)> = shown
                .map(|(_, window)| (if round == 0 { 0.0 } else { weights.window(window) }, window))
                .collect();
            if round == 0 && text.inside.is_some() {
                // the narrowest see the attack and little else
                ranked.sort_by_key(|(_, window)| window.span.len());
            } else if round == 0 {
                // wide windows first: they see most of the text
                ranked.sort_by_key(|(_, window)| std::cmp::Reverse(window.span.len()));
            } else {
                ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            }
            let keep = if row.attack() {
                if round == 0 { 3 } else { 1 }
            } else {
                HARD
            };
            ranked.truncate(keep);
            let share = cost / ranked.len().max(1) as f32;
            // each of the worst harmless windows counts in full once they are known to be the worst
            let cost = if row.attack() || round == 0 {
                share
            } else {
                share.max(cost / 2.0)
            };
            cases.extend(ranked.into_iter().map(|(_, window)| {
                Case {
                    window,
                    grams: window
                        .grams
                        .iter()
                        .map(|(row, value)| (*row, value * scales[*row as usize]))
                        .filter(|(_, value)| *value > 0.0)
                        .collect(),
                    attack: row.attack(),
                    cost,
                }
            }));
        }
        solve(&cases, &mut weights, settings);
        for (weight, scale) in weights.rows.iter_mut().zip(&scales) {
            *weight *= scale;
        }
    }
    weights.length_penalty = penalty(&weights, rows, texts);
    weights
}

/// How the best of n windows of harmless documents grows with ln n: the slope through the means.
fn penalty(weights: &Weights, rows: &[&Row], texts: &[&Prepared]) -> f32 {
    let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0f32, 0f32, 0f32, 0f32, 0f32);
    for (row, text) in rows.iter().zip(texts) {
        if row.attack()
            || !(row.family.contains("docs") || row.source.starts_with("crates:") || row.source == "own:joined")
        {
            continue;
        }
        let x = (text.forms[0].1.max(1) as f32).ln();
        let y = text.windows[..text.first()]
            .iter()
            .map(|window| weights.window(window))
            .fold(f32::NEG_INFINITY, f32::max);
        if y.is_finite() {
            (n, sx, sy, sxx, sxy) = (n + 1.0, sx + x, sy + y, sxx + x * x, sxy + x * y);
        }
    }
    let spread = n * sxx - sx * sx;
    if spread < 1e-3 {
        0.0
    } else {
        ((n * sxy - sx * sy) / spread).clamp(0.0, 1.5)
    }
}
