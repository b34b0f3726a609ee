//! What is wrong with coordinates and bounding boxes.

use std::ops::Range;

use cofferdam_schemas::Severity;

use super::{Judge, located};
use crate::structure::geojson::coordinates::{Coordinates, Tally};
use crate::structure::json::Path;

impl Judge {
    pub(super) fn judge(
        &mut self,
        found: &Coordinates,
        (depth, rings, lines): (usize, bool, bool),
        path: &Path,
        span: Range<u64>,
        line: u64,
    ) {
        if found.positions > 0 && (found.shallowest != depth || found.deepest != depth) {
            self.fault(
                4,
                path,
                span,
                line,
                "coordinates are nested otherwise than the type says",
                "RFC 7946 section 3.1",
            );
        } else if found.positions == 0 && found.mixed.number == 0 {
            let problem = || {
                located(
                    "structure/geojson-empty",
                    Severity::Info,
                    "a geometry without coordinates",
                    path,
                    span,
                    line,
                )
                .cite("RFC 7946 section 3.1")
            };
            self.out.add("structure/geojson-empty", 0, problem);
        }
        let hard = [
            (
                &found.mixed,
                true,
                "coordinates hold something other than positions",
                "RFC 7946 section 3.1.1",
            ),
            (
                &found.short_position,
                true,
                "a position has fewer than two numbers",
                "RFC 7946 section 3.1.1",
            ),
            (
                &found.short_line,
                lines && !rings,
                "a line has fewer than two positions",
                "RFC 7946 section 3.1.4",
            ),
            (
                &found.short_ring,
                rings,
                "a ring has fewer than four positions",
                "RFC 7946 section 3.1.6",
            ),
            (
                &found.open_ring,
                rings,
                "a ring does not end where it begins",
                "RFC 7946 section 3.1.6",
            ),
        ];
        for (group, (tally, applies, message, citation)) in (5..).zip(hard) {
            if applies && tally.number > 0 {
                self.out.report().valid = false;
                self.tell(
                    tally,
                    group,
                    ("structure/geojson", Severity::High),
                    message,
                    citation,
                    path,
                );
            }
        }
        let soft = [
            (
                &found.winding,
                rings,
                "structure/geojson-winding",
                Severity::Low,
                "a ring runs the wrong way: outer ones counter-clockwise, holes clockwise",
                "RFC 7946 section 3.1.6",
            ),
            (
                &found.out_of_range,
                true,
                "structure/geojson-range",
                Severity::Medium,
                "longitude beyond 180 or latitude beyond 90 degrees: another reference system, or swapped",
                "RFC 7946 sections 3.1.1 and 4",
            ),
            (
                &found.long_position,
                true,
                "structure/geojson-position",
                Severity::Low,
                "a position has more than three numbers",
                "RFC 7946 section 3.1.1",
            ),
        ];
        for (tally, applies, rule, severity, message, citation) in soft {
            if applies && tally.number > 0 {
                self.tell(tally, 0, (rule, severity), message, citation, path);
            }
        }
    }

    pub(super) fn tell(
        &mut self,
        tally: &Tally,
        group: u32,
        (rule, severity): (&'static str, Severity),
        message: &'static str,
        citation: &'static str,
        path: &Path,
    ) {
        let Some((span, line)) = tally.first.clone() else {
            return;
        };
        let number = tally.number;
        self.out.add(rule, group, || {
            let mut problem = located(rule, severity, message, path, span, line).cite(citation);
            problem.count = number;
            problem
        });
    }

    pub(super) fn bounds(&mut self, number: usize, values: [f64; 6], path: &Path, span: Range<u64>, line: u64) {
        let (south, north) = match number {
            4 => (values[1], values[3]),
            6 => (values[1], values[4]),
            _ => {
                return self.fault(
                    10,
                    path,
                    span,
                    line,
                    "a bbox has to have four or six numbers",
                    "RFC 7946 section 5",
                );
            }
        };
        let (west, east) = (values[0], values[number / 2]);
        // West may be beyond east: the box crosses the antimeridian (section 5.2).
        let fits = south <= north
            && south >= -90.0
            && north <= 90.0
            && [west, east].iter().all(|x| (-180.0..=180.0).contains(x));
        if !fits {
            let problem = || {
                located(
                    "structure/geojson-bbox",
                    Severity::Medium,
                    "a bbox has its south above its north, or reaches beyond the earth",
                    path,
                    span,
                    line,
                )
                .cite("RFC 7946 section 5")
                .remedy("write west, south, east, north in degrees")
            };
            self.out.add("structure/geojson-bbox", 0, problem);
        }
    }
}
