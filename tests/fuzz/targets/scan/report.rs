//! What holds of every scan of the structure, and scans whole and in pieces.

use cofferdam_scan::structure::report::{Collector, FIELD_BYTES, StructureReport};
use cofferdam_scan::structure::text::{Checks, Decoder, Engine, HEAD, Piece, TextOptions, TextScan, detect};

/// Scans `data` at once, and again in pieces of this length: the outcome must be the same. `gathered` takes what the engine has to show.
///
/// A scan holds the first 64 KiB back, and so is handed the whole of what is shorter. Behind them it goes piece by piece: that is tried on the
/// engine alone.
pub fn scan<E: Engine, G: PartialEq + std::fmt::Debug>(
    data: &[u8],
    piece: u8,
    options: TextOptions,
    engine: impl Fn() -> E,
    gathered: impl Fn(E) -> G,
) -> (StructureReport, G) {
    let run = |piece: usize| {
        let mut scan = TextScan::new(engine(), options);
        for part in data.chunks(piece) {
            scan.feed(part);
        }
        let (report, engine) = scan.finish();
        (report, gathered(engine))
    };
    let whole = run(data.len().max(1));
    let parted = run(usize::from(piece) + 1);
    assert_eq!(whole, parted);
    let guess = detect(&data[..data.len().min(HEAD)], data.len() < HEAD);
    let (encoding, mark) = match options.encoding {
        Some(encoding) if encoding != guess.encoding => (encoding, 0),
        _ => (guess.encoding, guess.mark),
    };
    let alone = |piece: usize| {
        let (mut engine, mut checks) = (engine(), Checks::default());
        let (mut decoder, mut out) = (Decoder::new(encoding, mark as u64), Collector::new(options.per_kind));
        let mut take = |piece: &Piece<'_>| {
            checks.piece(piece);
            engine.piece(piece, &mut out);
        };
        for part in data[mark..].chunks(piece) {
            decoder.feed(part, &mut take);
        }
        decoder.finish(&mut take);
        let end = checks.end(decoder.consumed());
        engine.finish(end, &mut out);
        checks.finish(options.long_line, &mut out);
        let mut report = out.finish();
        // Of two engines that read side by side, each is done with a piece before the other begins it.
        report.findings.sort_by_cached_key(|problem| format!("{problem:?}"));
        (report, gathered(engine))
    };
    let at_once = alone(data.len().max(1));
    assert_eq!(at_once, alone(usize::from(piece) + 1));
    assert_eq!(at_once.1, whole.1);
    check(&whole.0, data, options);
    whole
}

fn check(report: &StructureReport, data: &[u8], options: TextOptions) {
    let len = data.len() as u64;
    assert_eq!(report.facts.get("bytes"), Some(&len));
    assert!(report.words.contains_key("encoding"));
    let mut kinds = std::collections::HashMap::new();
    for problem in &report.findings {
        let span = problem.span.clone().unwrap_or(0..0);
        assert!(
            span.start <= span.end && span.end <= len,
            "{} at {span:?} of {len}",
            problem.rule
        );
        assert!(problem.line.is_none_or(|line| line >= 1) && problem.column.is_none_or(|column| column >= 1));
        assert!(problem.field.as_ref().is_none_or(|field| field.len() <= FIELD_BYTES));
        assert!(problem.count >= 1 && !problem.message.is_empty());
        // As many kinds of a rule as there are columns and checks of a contract.
        *kinds.entry(problem.rule).or_insert(0) += 1;
    }
    assert!(
        kinds.values().all(|listed| *listed <= options.per_kind.max(20) * 16),
        "{kinds:?}"
    );
    assert!(report.stopped_at.is_none_or(|at| at <= len));
    assert!(
        report
            .limits
            .iter()
            .all(|limit| limit.at.is_none_or(|at| at <= len) && !limit.lost.is_empty())
    );
    // Nothing is refused without a word.
    assert!(report.valid || !report.findings.is_empty() || !report.limits.is_empty());
}
