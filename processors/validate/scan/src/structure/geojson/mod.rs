//! GeoJSON (RFC 7946), as a stream: types, members, nesting, rings, ranges and bounding boxes, in constant memory.
//!
//! Coordinates are summed up and not kept, because the type of a geometry may follow them. Not checked: whether rings cross themselves or
//! each other, and whether a bbox holds what it bounds.

mod coordinates;
mod sink;

use self::sink::Judge;
use super::json::{Json, JsonOptions, JsonSink};
use super::report::{Collector, Place};
use super::text::{Engine, Piece};

/// Problems listed per kind.
const PER_KIND: usize = 20;

/// One GeoJSON document; the JSON grammar is checked as well, and values go to the sink.
pub struct GeoJson<S> {
    json: Json<(Judge, S)>,
}

impl<S: JsonSink> GeoJson<S> {
    /// An engine for one document.
    pub fn new(options: JsonOptions, sink: S) -> Self {
        Self {
            json: Json::new(options, (Judge::new(PER_KIND), sink)),
        }
    }

    /// The sink.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.json.sink.1
    }

    /// The sink, with what it gathered.
    pub fn into_sink(self) -> S {
        self.json.sink.1
    }
}

impl<S: JsonSink> Engine for GeoJson<S> {
    const UTF8_ONLY: bool = true;

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Collector) {
        self.json.piece(piece, out);
    }

    fn finish(&mut self, end: Place, out: &mut Collector) {
        self.json.finish(end, out);
        let judge = std::mem::replace(&mut self.json.sink.0, Judge::new(PER_KIND));
        out.fact("features", judge.features);
        out.fact("positions", judge.positions);
        out.merge(judge.out);
        for what in [
            "GeoJSON types and members",
            "rings",
            "ranges of coordinates",
            "bounding boxes",
        ] {
            out.checked(what);
        }
        out.not_checked("whether rings cross", "it takes all coordinates in memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::report::StructureReport;
    use crate::structure::text::{TextOptions, TextScan};
    use proptest::prelude::*;

    fn scan(text: &[u8], chunk: usize) -> StructureReport {
        let mut scan = TextScan::new(GeoJson::new(JsonOptions::default(), ()), TextOptions::default());
        text.chunks(chunk.max(1)).for_each(|part| scan.feed(part));
        scan.finish().0
    }

    #[track_caller]
    fn check(text: &str, valid: bool, rules: &[&str]) -> StructureReport {
        let report = scan(text.as_bytes(), usize::MAX);
        assert_eq!(
            (report.valid, report.findings.iter().map(|p| p.rule).collect::<Vec<_>>()),
            (valid, rules.to_vec()),
            "{text}"
        );
        assert_eq!(report, scan(text.as_bytes(), 3));
        report
    }

    const GEO: &str = "structure/geojson";

    #[test]
    fn types_and_members() {
        check(r#"{"type":"Point","coordinates":[1,2]}"#, true, &[]);
        check(r#"{"coordinates":[[1,2],[3,4]],"type":"LineString"}"#, true, &[]);
        check(
            r#"{"type":"Feature","geometry":null,"properties":{"type":"x","coordinates":5}}"#,
            true,
            &[],
        );
        check(r#"{"type":"FeatureCollection","features":[]}"#, true, &[]);
        check("[]", false, &[GEO]);
        check("{}", false, &[GEO]);
        check(r#"{"type":"point","coordinates":[1,2]}"#, false, &[GEO]);
        check(r#"{"type":"Point"}"#, false, &[GEO]);
        check(r#"{"type":"Feature","geometry":null}"#, false, &[GEO]);
        check(r#"{"type":"Feature","properties":null}"#, false, &[GEO]);
        check(r#"{"type":"Feature","geometry":null,"properties":[]}"#, false, &[GEO]);
        check(
            r#"{"type":"Feature","geometry":null,"properties":{},"id":{}}"#,
            false,
            &[GEO],
        );
        check(
            r#"{"type":"Feature","geometry":null,"properties":{},"coordinates":[1,2]}"#,
            false,
            &[GEO],
        );
        check(
            r#"{"type":"FeatureCollection","features":[{"type":"Point","coordinates":[1,2]}]}"#,
            false,
            &[GEO],
        );
        check(r#"{"type":"FeatureCollection","features":{}}"#, false, &[GEO]);
        check(
            r#"{"type":"Point","coordinates":[1,2],"crs":{"a":1}}"#,
            true,
            &["structure/geojson-crs"],
        );
        check(
            r#"{"type":"Point","coordinates":[]}"#,
            true,
            &["structure/geojson-empty"],
        );
    }

    #[test]
    fn coordinates() {
        check(r#"{"type":"Point","coordinates":[[1,2]]}"#, false, &[GEO]);
        check(r#"{"type":"Point","coordinates":[1]}"#, false, &[GEO]);
        // Not a number, and so one number too few.
        check(r#"{"type":"Point","coordinates":[1,"2"]}"#, false, &[GEO, GEO]);
        check(
            r#"{"type":"Point","coordinates":[1,2,3,4]}"#,
            true,
            &["structure/geojson-position"],
        );
        check(
            r#"{"type":"Point","coordinates":[500000,4649776]}"#,
            true,
            &["structure/geojson-range"],
        );
        check(r#"{"type":"LineString","coordinates":[[1,2]]}"#, false, &[GEO]);
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#,
            true,
            &[],
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,0]]]}"#,
            true,
            &["structure/geojson-winding"],
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#,
            false,
            &[GEO],
        );
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[0,0]]]}"#,
            false,
            &[GEO],
        );
        let hole =
            |ring: &str| format!(r#"{{"type":"MultiPolygon","coordinates":[[[[0,0],[9,0],[9,9],[0,0]],{ring}]]}}"#);
        check(&hole("[[2,1],[3,2],[3,1],[2,1]]"), true, &[]);
        check(&hole("[[2,1],[3,1],[3,2],[2,1]]"), true, &["structure/geojson-winding"]);
        let report = check(
            "{\"type\":\"MultiPolygon\",\n\"coordinates\":[[[[0,0],[9,0],[9,9]]],\n[[[0,0],[1,0]]]]}",
            false,
            &[GEO],
        );
        assert_eq!((report.findings[0].count, report.findings[0].line), (2, Some(2)));
    }

    #[test]
    fn boxes() {
        let with = |bounds: &str| format!(r#"{{"type":"Point","coordinates":[1,2],"bbox":{bounds}}}"#);
        check(&with("[1,2,3,4]"), true, &[]);
        check(&with("[170,2,-170,4]"), true, &[]);
        check(&with("[1,2,0,3,4,0]"), true, &[]);
        check(&with("[1,4,3,2]"), true, &["structure/geojson-bbox"]);
        check(&with("[1,2,3]"), false, &[GEO]);
        check(&with("[1,2,3,\"4\"]"), false, &[GEO, GEO]);
        check(&with("5"), false, &[GEO]);
    }

    proptest! {
        #[test]
        fn nothing_panics(parts in prop::collection::vec(prop::sample::select(&["{", "}", "[", "]", ",", "1", "\"type\":", "\"Polygon\"", "\"coordinates\":", "\"features\":", "null", "\"bbox\":", "[1,2]"][..]), 0..40), chunk in 1_usize..9) {
            let text = parts.concat();
            prop_assert_eq!(scan(text.as_bytes(), chunk), scan(text.as_bytes(), usize::MAX));
        }
    }
}
