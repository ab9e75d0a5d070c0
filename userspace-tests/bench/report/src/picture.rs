// SPDX-License-Identifier: GPL-2.0

//! Pictures of the distributions, as SVG.

use std::ops::Range;

use anyhow::{Result, anyhow};
use binder_bench::results::{Paired, Sample, Suite};
use plotters::coord::Shift;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::rows::{REFERENCE, Row, SUBJECT, quantile};
use crate::table::number;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(0x22, 0x2b, 0x36);
const FAINT: RGBColor = RGBColor(0x8a, 0x94, 0xa0);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xec);
const C_COLOUR: RGBColor = RGBColor(0x5b, 0x7f, 0xa6);
const OURS_COLOUR: RGBColor = RGBColor(0xd9, 0x6f, 0x32);

const WIDTH: i32 = 1000;
const LEFT: i32 = 120;
const RIGHT: i32 = 800;
const TOP: i32 = 64;
const BOTTOM: i32 = 44;

/// Where a value of the horizontal axis lies.
struct Axis {
    values: Range<f64>,
}

impl Axis {
    fn at(&self, value: f64) -> i32 {
        let share = (value - self.values.start) / (self.values.end - self.values.start);
        LEFT + (share.clamp(0.0, 1.0) * f64::from(RIGHT - LEFT)).round() as i32
    }

    /// Grid lines at every tenth, the one at 1 stronger, with what they mean below.
    fn draw(&self, area: &Area<'_>, bottom: i32, title: &str) -> Result<()> {
        let tenth = |value: f64| (value * 10.0).round() as i32;
        for tick in tenth(self.values.start)..=tenth(self.values.end) {
            let x = self.at(f64::from(tick) / 10.0);
            let style = match tick {
                10 => INK.stroke_width(1),
                _ => GRID.stroke_width(1),
            };
            draw(
                area,
                &PathElement::new(vec![(x, TOP - 8), (x, bottom)], style),
            )?;
            let label = format!("{:.1}", f64::from(tick) / 10.0);
            text(area, &label, (x, bottom + 12), 12, FAINT, HPos::Center)?;
        }
        text(
            area,
            title,
            ((LEFT + RIGHT) / 2, bottom + 32),
            12,
            FAINT,
            HPos::Center,
        )
    }
}

/// Every round of every workload, in units of the C driver's figure: C above the line, ours below.
pub fn distributions(suite: &Suite, rows: &[Row]) -> Result<String> {
    const HEIGHT: i32 = 56;
    const HALF: f64 = 24.0;
    const BIN: f64 = 0.005;

    let sample = |row: &Row, device: &str| -> Option<&Sample> {
        suite
            .measured
            .iter()
            .find(|measured| {
                measured.workload == row.workload && measured.device.as_deref() == Some(device)
            })
            .map(|measured| &measured.sample)
    };
    let shown: Vec<(&Row, f64)> = rows
        .iter()
        .filter(|row| row.counts())
        .filter_map(|row| Some((row, row.c.or(row.ours)?)))
        .collect();
    let bottom = TOP + HEIGHT * shown.len() as i32;
    let axis = Axis { values: 0.5..1.3 };
    render(bottom + BOTTOM, |area| {
        let title = "Instructions of a round, in units of the C driver's figure";
        text(area, title, (LEFT, 22), 18, INK, HPos::Left)?;
        legend(area)?;
        axis.draw(area, bottom, "rounds further out lie on the edge")?;
        for (index, (row, unit)) in shown.iter().enumerate() {
            let base = TOP + HEIGHT * index as i32 + HEIGHT / 2;
            let line = vec![(LEFT, base), (RIGHT, base)];
            draw(area, &PathElement::new(line, GRID.stroke_width(1)))?;
            for (device, colour, direction) in
                [(REFERENCE, C_COLOUR, -1.0), (SUBJECT, OURS_COLOUR, 1.0)]
            {
                let Some(sample) = sample(row, device) else {
                    continue;
                };
                for (bin, share) in bins(sample, *unit, BIN, &axis.values) {
                    let height = (share.sqrt() * HALF).ceil() as i32;
                    let left = axis.at(bin);
                    let right = axis.at(bin + BIN).max(left + 2);
                    let end = base + height * direction as i32;
                    let bar = Rectangle::new([(left, base), (right, end)], colour.filled());
                    draw(area, &bar)?;
                }
                let figure = match device {
                    REFERENCE => row.c,
                    _ => row.ours,
                };
                if let Some(figure) = figure {
                    let x = axis.at(figure / unit);
                    let end = base + (HALF * direction) as i32;
                    let mark = vec![(x, base), (x, end)];
                    draw(area, &PathElement::new(mark, colour.stroke_width(2)))?;
                }
            }
            text(area, &row.workload, (LEFT - 12, base), 14, INK, HPos::Right)?;
            let figures = format!("{} → {}", number(row.c), number(row.ours));
            text(area, &figures, (RIGHT + 12, base - 9), 13, INK, HPos::Left)?;
            if let Some(ratio) = row.ratio {
                let label = format!("{ratio:.3} × C");
                text(area, &label, (RIGHT + 12, base + 9), 13, FAINT, HPos::Left)?;
            }
        }
        Ok(())
    })
}

/// The ratios of paired blocks: all pairs as dots, quartiles as a bar, the median as a mark.
pub fn ratios(paired: &[Paired]) -> Result<String> {
    const HEIGHT: i32 = 34;

    let bottom = TOP + HEIGHT * paired.len() as i32;
    let axis = Axis { values: 0.5..1.5 };
    render(bottom + BOTTOM, |area| {
        let title = "Wall-clock time of paired blocks, ours / C";
        text(area, title, (LEFT, 22), 18, INK, HPos::Left)?;
        axis.draw(area, bottom, "pairs further out lie on the edge")?;
        for (index, paired) in paired.iter().enumerate() {
            let middle = TOP + HEIGHT * index as i32 + HEIGHT / 2;
            let mut values: Vec<f64> = paired
                .blocks
                .iter()
                .map(|(first, second)| second / first)
                .collect();
            values.sort_by(f64::total_cmp);
            for value in &values {
                let dot = Circle::new((axis.at(*value), middle), 3, OURS_COLOUR.mix(0.35).filled());
                draw(area, &dot)?;
            }
            if let (Some(low), Some(median), Some(high)) = (
                quantile(&values, 0.25),
                quantile(&values, 0.5),
                quantile(&values, 0.75),
            ) {
                let corners = [(axis.at(low), middle - 8), (axis.at(high), middle + 8)];
                draw(
                    area,
                    &Rectangle::new(corners, OURS_COLOUR.mix(0.3).filled()),
                )?;
                let x = axis.at(median);
                let mark = vec![(x, middle - 11), (x, middle + 11)];
                draw(area, &PathElement::new(mark, OURS_COLOUR.stroke_width(3)))?;
                let label = format!("{median:.3} ({low:.3}–{high:.3})");
                text(area, &label, (RIGHT + 12, middle), 13, INK, HPos::Left)?;
            }
            text(
                area,
                &paired.workload,
                (LEFT - 12, middle),
                14,
                INK,
                HPos::Right,
            )?;
        }
        Ok(())
    })
}

/// The share of the rounds in each bin of the axis, as a part of the fullest bin.
fn bins(sample: &Sample, unit: f64, width: f64, values: &Range<f64>) -> Vec<(f64, f64)> {
    let count = ((values.end - values.start) / width).round() as usize;
    let mut bins = vec![0u64; count];
    for &(value, rounds) in &sample.histogram {
        let place = (value as f64 / unit - values.start) / width;
        bins[(place.max(0.0) as usize).min(count - 1)] += rounds;
    }
    let most = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
    bins.into_iter()
        .enumerate()
        .filter(|(_, rounds)| *rounds > 0)
        .map(|(index, rounds)| (values.start + index as f64 * width, rounds as f64 / most))
        .collect()
}

fn legend(area: &Area<'_>) -> Result<()> {
    for (label, colour, x) in [
        ("C", C_COLOUR, RIGHT + 14),
        ("ours", OURS_COLOUR, RIGHT + 62),
    ] {
        let patch = Rectangle::new([(x, 16), (x + 12, 28)], colour.filled());
        draw(area, &patch)?;
        text(area, label, (x + 18, 22), 13, INK, HPos::Left)?;
    }
    Ok(())
}

fn render(height: i32, paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut picture = String::new();
    {
        let backend = SVGBackend::with_string(&mut picture, (WIDTH as u32, height as u32));
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        paint(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(picture)
}

fn text(
    area: &Area<'_>,
    content: &str,
    place: (i32, i32),
    size: i32,
    colour: RGBColor,
    anchor: HPos,
) -> Result<()> {
    let style = TextStyle::from(("sans-serif", size).into_font())
        .color(&colour)
        .pos(Pos::new(anchor, VPos::Center));
    area.draw_text(content, &style, place).map_err(failed)
}

fn draw<'a, 'b, E>(area: &Area<'b>, element: &'a E) -> Result<()>
where
    &'a E: PointCollection<'a, (i32, i32)>,
    E: Drawable<SVGBackend<'b>>,
{
    area.draw(element).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use binder_bench::results::Unit;

    #[test]
    fn bins_keep_what_is_outside_on_the_edge() {
        let sample = Sample::new(Unit::Instructions, vec![1, 100, 100, 5000], 5201);
        let bins = bins(&sample, 100.0, 0.1, &(0.5..1.5));
        assert_eq!(bins.len(), 3);
        assert_eq!(bins[0], (0.5, 0.5));
        assert_eq!(bins[1].1, 1.0);
        assert!((bins[2].0 - 1.4).abs() < 1e-9);
    }

    #[test]
    fn pictures_are_svg() {
        let picture = ratios(&[Paired {
            workload: "sync-0".to_owned(),
            rounds_per_block: 10,
            blocks: vec![(1.0, 0.8), (1.0, 0.9)],
        }])
        .unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("sync-0"));
        assert!(picture.contains("0.850"));
    }
}
