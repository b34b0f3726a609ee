//! Follows the events of a JSON parser and judges the GeoJSON objects in them.

mod verdict;

use std::ops::Range;

use cofferdam_schemas::Severity;

use super::coordinates::{Coordinates, Level};
use crate::structure::json::{JsonSink, Path, Step, Value};
use crate::structure::report::{Collector, Problem};

/// The nine types of RFC 7946.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Feature,
    FeatureCollection,
    GeometryCollection,
    /// How deep its positions are nested, whether its lines are rings, and whether it has lines.
    Geometry(usize, bool, bool),
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "Feature" => Self::Feature,
            "FeatureCollection" => Self::FeatureCollection,
            "GeometryCollection" => Self::GeometryCollection,
            "Point" => Self::Geometry(1, false, false),
            "MultiPoint" => Self::Geometry(2, false, false),
            "LineString" => Self::Geometry(2, false, true),
            "MultiLineString" => Self::Geometry(3, false, true),
            "Polygon" => Self::Geometry(3, true, true),
            "MultiPolygon" => Self::Geometry(4, true, true),
            _ => return None,
        })
    }
}

/// What may stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Any,
    Feature,
    Geometry,
}

#[derive(Debug)]
struct Object {
    role: Role,
    begin: u64,
    line: u64,
    kind: Option<Kind>,
    /// `type` is there, but is no type.
    unknown: bool,
    features: bool,
    geometries: bool,
    geometry: bool,
    properties: bool,
    coordinates: Option<Coordinates>,
}

#[derive(Debug)]
enum Frame {
    Object(Box<Object>),
    List(Role),
    Coordinates(Level),
    Bounds(u64, u64, usize, [f64; 6]),
    /// Nothing within it is GeoJSON.
    Other,
}

/// The sink. Memory: one frame for each open bracket.
#[derive(Debug)]
pub(super) struct Judge {
    frames: Vec<Frame>,
    current: Coordinates,
    pub out: Collector,
    pub features: u64,
    pub positions: u64,
}

impl Judge {
    pub fn new(per_kind: usize) -> Self {
        Self {
            frames: Vec::new(),
            current: Coordinates::default(),
            out: Collector::new(per_kind),
            features: 0,
            positions: 0,
        }
    }

    fn fault(
        &mut self,
        group: u32,
        path: &Path,
        span: Range<u64>,
        line: u64,
        message: &'static str,
        citation: &'static str,
    ) {
        self.out.report().valid = false;
        let problem = || {
            located("structure/geojson", Severity::High, message, path, span, line)
                .cite(citation)
                .remedy("write GeoJSON as RFC 7946 says")
        };
        self.out.add("structure/geojson", group, problem);
    }

    fn member(&mut self, path: &Path, name: &str, value: &Value<'_>, span: &Range<u64>, line: u64) -> Frame {
        let is_array = matches!(value, Value::Array);
        let is_object = matches!(value, Value::Object);
        let is_null = matches!(value, Value::Null);
        let Some(Frame::Object(object)) = self.frames.last_mut() else {
            return Frame::Other;
        };
        let bad = match name {
            "type" => {
                let kind = match value {
                    Value::Text(text) if text.last && text.part == 0 => Kind::of(&text.text()),
                    _ => None,
                };
                object.unknown = kind.is_none();
                object.kind = kind;
                return Frame::Other;
            }
            "coordinates" => {
                object.coordinates = Some(Coordinates::default());
                if is_array {
                    self.current = Coordinates::default();
                    return Frame::Coordinates(Level::new(span.start, line));
                }
                "coordinates have to be an array"
            }
            "features" => {
                object.features = true;
                if is_array {
                    return Frame::List(Role::Feature);
                }
                "features have to be an array"
            }
            "geometries" => {
                object.geometries = true;
                if is_array {
                    return Frame::List(Role::Geometry);
                }
                "geometries have to be an array"
            }
            "geometry" => {
                object.geometry = true;
                if is_object {
                    return new_object(Role::Geometry, span.start, line);
                }
                if is_null {
                    return Frame::Other;
                }
                "a geometry has to be an object or null"
            }
            "properties" => {
                object.properties = true;
                if is_object || is_null {
                    return Frame::Other;
                }
                "properties have to be an object or null"
            }
            "bbox" if is_array => return Frame::Bounds(span.start, line, 0, [0.0; 6]),
            "bbox" => "a bbox has to be an array",
            "id" if !matches!(value, Value::Text(_) | Value::Number(_)) => "an id has to be a string or a number",
            "crs" => {
                let problem = || {
                    located(
                        "structure/geojson-crs",
                        Severity::Low,
                        "the member crs of the draft of 2008 was removed; readers take longitude and latitude (WGS 84)",
                        path,
                        span.clone(),
                        line,
                    )
                    .cite("RFC 7946 section 4")
                    .remedy("convert the coordinates to WGS 84 and remove the member")
                };
                self.out.add("structure/geojson-crs", 0, problem);
                return Frame::Other;
            }
            _ => return Frame::Other,
        };
        self.fault(1, path, span.clone(), line, bad, "RFC 7946 sections 3 and 5");
        Frame::Other
    }

    fn end_object(&mut self, object: Object, path: &Path, end: u64) {
        let (span, line) = (object.begin..end, object.line);
        let missing = match object.kind {
            None if object.unknown => Some("the type is none of the nine of GeoJSON"),
            None => Some("an object has no type"),
            Some(Kind::Feature) if object.role == Role::Geometry => Some("a geometry has to stand here, not a feature"),
            Some(Kind::FeatureCollection) if object.role != Role::Any => {
                Some("a collection of features may not stand here")
            }
            Some(Kind::Geometry(..) | Kind::GeometryCollection) if object.role == Role::Feature => {
                Some("a feature has to stand here")
            }
            Some(Kind::Feature) if !object.geometry => Some("a feature has no geometry"),
            Some(Kind::Feature) if !object.properties => Some("a feature has no properties"),
            Some(Kind::FeatureCollection) if !object.features => Some("a collection of features has no features"),
            Some(Kind::GeometryCollection) if !object.geometries => {
                Some("a collection of geometries has no geometries")
            }
            Some(Kind::Geometry(..)) if object.coordinates.is_none() => Some("a geometry has no coordinates"),
            _ => None,
        };
        self.features += u64::from(object.kind == Some(Kind::Feature));
        if let Some(message) = missing {
            self.fault(2, path, span.clone(), line, message, "RFC 7946 sections 3 and 7");
        }
        let foreign = match object.kind {
            Some(Kind::Feature) => object.coordinates.is_some() || object.geometries || object.features,
            Some(Kind::FeatureCollection) => {
                object.coordinates.is_some() || object.geometries || object.geometry || object.properties
            }
            Some(_) => object.geometry || object.properties || object.features,
            None => false,
        };
        if foreign {
            self.fault(
                3,
                path,
                span.clone(),
                line,
                "an object has members that define another type",
                "RFC 7946 section 7.1",
            );
        }
        if let (Some(Kind::Geometry(depth, rings, lines)), Some(coordinates)) = (object.kind, object.coordinates) {
            self.positions += coordinates.positions;
            self.judge(&coordinates, (depth, rings, lines), path, span, line);
        }
    }
}

fn located(
    rule: &'static str,
    severity: Severity,
    message: &'static str,
    path: &Path,
    span: Range<u64>,
    line: u64,
) -> Problem {
    let mut problem = Problem::new(rule, severity, message).field(&{
        let mut field = String::new();
        path.write(&mut field, 256);
        field
    });
    (problem.span, problem.line) = (Some(span), Some(line));
    problem
}

fn new_object(role: Role, begin: u64, line: u64) -> Frame {
    Frame::Object(Box::new(Object {
        role,
        begin,
        line,
        kind: None,
        unknown: false,
        features: false,
        geometries: false,
        geometry: false,
        properties: false,
        coordinates: None,
    }))
}

impl JsonSink for Judge {
    fn value(&mut self, path: &Path, value: Value<'_>, span: Range<u64>, line: u64) {
        let opens = matches!(value, Value::Object | Value::Array);
        let frame = match (self.frames.last_mut(), &value) {
            (Some(Frame::Coordinates(level)), Value::Number(number)) => {
                level.number(number.parse().unwrap_or(f64::NAN));
                return;
            }
            (Some(Frame::Coordinates(_)), Value::Array) => Frame::Coordinates(Level::new(span.start, line)),
            (Some(Frame::Coordinates(_)), _) => {
                self.current.mixed.add(span, line);
                Frame::Other
            }
            (Some(Frame::Bounds(_, _, number, values)), Value::Number(text)) => {
                if let Some(slot) = values.get_mut(*number) {
                    *slot = text.parse().unwrap_or(f64::NAN);
                }
                *number += 1;
                return;
            }
            (Some(Frame::Bounds(..)), _) => {
                self.fault(
                    11,
                    path,
                    span,
                    line,
                    "a bbox holds something other than numbers",
                    "RFC 7946 section 5",
                );
                Frame::Other
            }
            (Some(Frame::List(role)), Value::Object) => new_object(*role, span.start, line),
            (None, Value::Object) => new_object(Role::Any, span.start, line),
            (Some(Frame::List(_)) | None, _) => {
                self.fault(
                    12,
                    path,
                    span,
                    line,
                    "a GeoJSON object has to stand here",
                    "RFC 7946 section 3",
                );
                Frame::Other
            }
            (Some(Frame::Object(_)), _) => match path.last() {
                Some(Step::Name(name)) => self.member(path, name, &value, &span, line),
                _ => Frame::Other,
            },
            (Some(Frame::Other), _) => Frame::Other,
        };
        if opens {
            self.frames.push(frame);
        }
    }

    fn end(&mut self, path: &Path, _: bool, at: u64) {
        match self.frames.pop() {
            Some(Frame::Object(object)) => self.end_object(*object, path, at),
            Some(Frame::Bounds(begin, line, number, values)) => self.bounds(number, values, path, begin..at, line),
            Some(Frame::Coordinates(level)) => {
                let depth = 1 + self
                    .frames
                    .iter()
                    .rev()
                    .take_while(|frame| matches!(frame, Frame::Coordinates(_)))
                    .count();
                let parent = match self.frames.last_mut() {
                    Some(Frame::Coordinates(parent)) => Some(parent),
                    _ => None,
                };
                self.current.close(&level, parent, depth, at);
                if let Some(Frame::Object(object)) = self.frames.last_mut() {
                    object.coordinates = Some(std::mem::take(&mut self.current));
                }
            }
            _ => {}
        }
    }
}
