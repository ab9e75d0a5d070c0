// SPDX-License-Identifier: GPL-2.0

//! One page with the figures and the pictures, which needs no other file.

use std::fmt::Write;

use binder_bench::results::{Figure, Unit};

use crate::Metadata;
use crate::rows::Row;
use crate::table::number;

const STYLE: &str = "
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; color: #222b36; background: #f6f7f9; margin: 0 }
main { max-width: 1040px; margin: 2rem auto; padding: 0 1rem }
section { background: #fff; border: 1px solid #e3e7ec; border-radius: 8px; padding: 1rem 1.4rem; margin: 1rem 0 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: .2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .9rem; text-align: right } th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 1px solid #8a94a0 } tr.better td:nth-child(4) { color: #2c7a4b } tr.worse td:nth-child(4) { color: #b3372f }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem } dt { color: #8a94a0 } dd { margin: 0; overflow-wrap: anywhere }
svg { max-width: 100%; height: auto }
.verdict { font-weight: 600 }
";

/// The page as HTML.
pub fn compose(rows: &[Row], verdict: &str, metadata: &Metadata, pictures: &[String]) -> String {
    let mut page = String::new();
    page += "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
    page += "<meta name=\"viewport\" content=\"width=device-width\">";
    page += "<title>Binder benchmark</title><style>";
    page += STYLE;
    page += "</style></head><body><main><h1>Binder benchmark</h1>";
    page += &format!("<section><p class=\"verdict\">{}</p><dl>", escape(verdict));
    for (name, value) in metadata.entries() {
        page += &format!("<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    page += "</dl></section>";
    for (unit, title) in [
        (Unit::Instructions, "Instructions per round"),
        (
            Unit::Nanoseconds,
            "Wall clock, paired blocks: nanoseconds per round",
        ),
    ] {
        let shown: Vec<&Row> = rows.iter().filter(|row| row.unit == unit).collect();
        if !shown.is_empty() {
            page += &format!("<section><h2>{title}</h2>{}</section>", table(&shown));
        }
    }
    for picture in pictures {
        page += &format!("<section>{picture}</section>");
    }
    page += "</main></body></html>\n";
    page
}

fn table(rows: &[&Row]) -> String {
    let mut text = String::from(
        "<table><thead><tr><th>workload</th><th>C</th><th>ours</th><th>ours/C</th><th></th></tr></thead><tbody>",
    );
    for row in rows {
        let class = match row.ratio {
            Some(ratio) if ratio <= 1.0 => "better",
            Some(_) => "worse",
            None => "",
        };
        let note = match (row.quartiles, row.figure) {
            _ if row.floor => "floor".to_owned(),
            (Some([low, high]), _) => format!("quartiles {low:.3}–{high:.3}"),
            (None, Figure::P50) => "p50".to_owned(),
            (None, Figure::Mean) => "mean".to_owned(),
        };
        let ours = match row.floor {
            true => String::new(),
            false => number(row.ours),
        };
        let ratio = row
            .ratio
            .map(|ratio| format!("{ratio:.3}"))
            .unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{ours}</td><td>{ratio}</td><td>{note}</td></tr>",
            escape(&row.workload),
            number(row.c),
        );
    }
    text + "</tbody></table>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
