#!/usr/bin/env python3
"""Writes the sample documents. Standard library only; the same bytes every time."""

import json
import pathlib
import struct
import zipfile
import zlib

HERE = pathlib.Path(__file__).parent
ROWS = [("station", "time", "level_m", "note")] + [
    (
        "north" if hour % 2 else "south",
        f"2026-03-01T{hour:02}:00:00Z",
        "" if hour == 5 else f"{2 + ((hour * 7) % 24) / 10:.1f}",
        {3: "gauge cleaned, zero checked", 5: 'said "no signal"'}.get(hour, ""),
    )
    for hour in range(12)
]


def text() -> bytes:
    return (
        "Harbour notes, 1 March 2026\n\n"
        "The north gauge was cleaned at three; the crew had café au lait on the quay.\n"
        "At five there was no signal for an hour. Température de l’eau: 7 °C.\n"
    ).encode()


def csv() -> bytes:
    def field(value: str) -> str:
        return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n') else value

    return "".join(",".join(map(field, row)) + "\r\n" for row in ROWS).encode()


def stations() -> bytes:
    value = {
        "harbour": "Nowhere Quay",
        "stations": [
            {"id": "north", "depth_m": 9.5, "active": True},
            {"id": "south", "depth_m": 7.25, "active": True},
            {"id": "old mole", "depth_m": None, "active": False},
        ],
    }
    return (json.dumps(value, indent=2) + "\n").encode()


def pdf() -> bytes:
    lines = ["Harbour report, 1 March 2026", "Two gauges, twelve readings, one gap at five o'clock.", "All values are made up."]
    shown = "".join(f"({line}) Tj 0 -20 Td\n" for line in lines)
    content = f"BT /F1 14 Tf 60 760 Td\n{shown}ET\n"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Length {len(content)} >>\nstream\n{content}endstream",
    ]
    out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    start = len(out)
    table = "0000000000 65535 f \n" + "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return out + f"xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()


def xlsx() -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    mime = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(row: int, column: int, value: str) -> str:
        place = f"{'ABCD'[column]}{row}"
        if not value:
            return ""
        if row > 1 and column == 2:
            return f'<c r="{place}"><v>{value}</v></c>'
        escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        return f'<c r="{place}" t="inlineStr"><is><t>{escaped}</t></is></c>'

    rows = "".join(
        f'<row r="{n}">' + "".join(cell(n, c, value) for c, value in enumerate(row)) + "</row>" for n, row in enumerate(ROWS, 1)
    )
    parts = {
        "[Content_Types].xml": f'{head}<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{mime}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{mime}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{head}<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{office}">'
        '<sheets><sheet name="readings" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{head}<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }
    path = HERE / "readings.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in parts.items():
            # Stored, so that the bytes do not depend on the version of zlib.
            archive.writestr(zipfile.ZipInfo(name, (2026, 3, 1, 0, 0, 0)), body)
    return path.read_bytes()


def png() -> bytes:
    width, height = 160, 60
    levels = [float(row[2] or 2) for row in ROWS[1:]]
    lines = b""
    for y in range(height):
        lines += b"\0"
        for x in range(width):
            level = levels[x * len(levels) // width]
            lines += bytes((30, 90, 160) if height - y < level * 12 else (240, 244, 248))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    for name, make in {
        "harbour-notes.txt": text,
        "readings.csv": csv,
        "stations.json": stations,
        "report.pdf": pdf,
        "readings.xlsx": xlsx,
        "tide.png": png,
    }.items():
        (HERE / name).write_bytes(make())
