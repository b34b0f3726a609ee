//! What figures are to reach, beside them in the page.

/// Figures with an aim, each in the figure's unit.
const AIMS: [(&str, &str); 44] = [
    ("small-4KiB.throughput", "≥ 1,000"),
    ("latency-100-a-second.p50", "< 20"),
    ("latency-100-a-second.p99", "< 100"),
    ("large-1MB.memory.bytes", "≥ 400"),
    ("large-1MB.disk.share", "≥ 0.8"),
    ("memory.idle", "< 150"),
    ("memory.huge.above-idle", "< 64"),
    ("million.start.full", "< 3"),
    ("million.cpu.ratio", "≤ 1.2"),
    ("million.throughput.ratio", "≤ 1.2"),
    ("million.ls.first.ratio", "≤ 1.2"),
    ("million.ls.prefix.ratio", "≤ 1.2"),
    ("million.s3-list.first.ratio", "≤ 1.2"),
    ("million.s3-list.prefix.ratio", "≤ 1.2"),
    ("seal.rust-crypto.caller.each.1KiB.rate", "≥ 1,000"),
    ("seal.aws-lc.caller.batch64.1KiB.rate", "≥ 5,000"),
    ("seal.rust-crypto.caller.1GiB.cpu", "≥ 3 × age"),
    ("open.rust-crypto.caller.1GiB.cpu", "≥ 3 × age"),
    ("seal.aws-lc.caller.1GiB.cpu", "≥ 2, ≥ 3 × age"),
    ("open.aws-lc.caller.1GiB.cpu", "≥ 2, ≥ 3 × age"),
    ("scale.seal.rust-crypto.1GiB", "≥ 1.7"),
    ("scale.seal.aws-lc.1GiB", "≥ 1.7"),
    ("scale.open.aws-lc.1GiB", "≥ 1.7"),
    ("shell.ratio", "≥ 0.8"),
    ("phi.clinical.f1", "≥ 0.95"),
    ("phi.clinical.flagged", "≤ 10"),
    ("phi.structured.f1", "≥ 0.93"),
    ("injection.duplicates.review.f1", "≥ 0.80"),
    ("injection.duplicates.review.flagged", "≤ 5"),
    ("injection.duplicates.documentation", "≤ 5"),
    ("injection.source.review.f1", "≥ 0.80"),
    ("injection.source.review.flagged", "≤ 5"),
    ("injection.source.documentation", "≤ 5"),
    ("secrets.fresh.unnamed.lines", "≥ 62.5"),
    ("secrets.benign.named.false", "0"),
    ("formats.text.right", "358"),
    ("speed.phi.prose", "≥ 100"),
    ("speed.injection.half-kilobyte.harmless", "≥ 100"),
    ("speed.secrets.prose", "≥ 150"),
    ("step.text-1MB.p99", "< 50"),
    ("step.text-1MB.one-core.p99", "< 50"),
    ("step.type-and-integrity.rate", "≥ 1"),
    ("step.text-long.size", "≥ 10"),
    ("step.text-long.memory", "constant"),
];

/// The aim of a figure, if it has one.
pub(super) fn of(name: &str) -> Option<&'static str> {
    AIMS.iter().find(|(figure, _)| *figure == name).map(|(_, aim)| *aim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_one_aim_at_most() {
        for (figure, aim) in AIMS {
            assert_eq!(of(figure), Some(aim), "{figure} stands twice");
        }
        assert_eq!(of("small-4KiB.uploads"), None);
    }
}
