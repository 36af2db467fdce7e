//! Charts of the report, as SVG.

use super::Mode;
use super::report::{Report, Row};
use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

/// Pixels of a bar, of the gap between workloads, and of a chart's frame.
const BAR: u32 = 16;
const GAP: u32 = 14;
const FRAME: u32 = 110;
const WIDTH: u32 = 960;

/// Names of workloads are left of the bars.
const NAMES: u32 = 210;

const COLOURS: [(Mode, RGBColor); 4] = [
    (Mode::Interpreted, RGBColor(0xb0, 0x5a, 0x3c)),
    (Mode::Compiled, RGBColor(0x2f, 0x6d, 0xa8)),
    (Mode::CompiledWasmInWasm, RGBColor(0x8a, 0x8a, 0x8a)),
    (Mode::Handwritten, RGBColor(0x3b, 0x8f, 0x4e)),
];

/// A quantity of a row.
pub(super) struct Quantity {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) of: fn(&Row) -> f64,
}

/// A chart of a quantity over all workloads on an engine: a bar a mode, on a logarithmic scale.
pub(super) fn bars(path: &Path, report: &Report, engine: &str, quantity: &Quantity) -> Result<()> {
    let groups: Vec<(&str, Vec<&Row>)> = report
        .workloads()
        .into_iter()
        .map(|name| {
            let modes = COLOURS.iter().filter_map(|(mode, _)| report.row(name, *mode, engine));
            (name, modes.collect())
        })
        .collect();
    let height: u32 = groups.iter().map(|(_, rows)| rows.len() as u32 * BAR + GAP).sum();
    let values = groups.iter().flat_map(|(_, rows)| rows).map(|row| (quantity.of)(row));
    let (low, high) = values
        .filter(|value| *value > 0.0)
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return Ok(());
    }
    let area = SVGBackend::new(path, (WIDTH, height + FRAME)).into_drawing_area();
    let drawn = || -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        area.fill(&WHITE)?;
        let title = format!("{}, {}, on {engine}", quantity.title, quantity.unit);
        let scale = Decades { low: decade_below(low), high: decade_above(high) };
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 20))
            .margin(10)
            .set_label_area_size(LabelAreaPosition::Left, NAMES)
            .set_label_area_size(LabelAreaPosition::Bottom, 40)
            .build_cartesian_2d(scale.clone(), 0..i64::from(height))?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(12)
            .light_line_style(TRANSPARENT)
            .draw()?;
        let mut top = i64::from(height) - i64::from(GAP) / 2;
        let mut labels = Vec::new();
        for (name, rows) in &groups {
            labels.push((*name, top - i64::from(BAR) * rows.len() as i64 / 2));
            for row in rows {
                let colour = colour(row.mode);
                let bottom = top - i64::from(BAR) + 2;
                let end = (quantity.of)(row).max(scale.low);
                let bar = Rectangle::new([(scale.low, bottom), (end, top)], colour.filled());
                chart.draw_series(std::iter::once(bar))?;
                top -= i64::from(BAR);
            }
            top -= i64::from(GAP);
        }
        for (name, middle) in labels {
            let (_, y) = chart.backend_coord(&(scale.low, middle));
            area.draw_text(name, &("sans-serif", 14).into_text_style(&area), (16, y - 7))?;
        }
        for (position, (mode, colour)) in COLOURS.into_iter().enumerate() {
            let x = NAMES as i32 + position as i32 * 180;
            let y = (height + FRAME) as i32 - 18;
            area.draw(&Rectangle::new([(x, y), (x + 12, y + 10)], colour.filled()))?;
            area.draw_text(
                mode.name(),
                &("sans-serif", 13).into_text_style(&area),
                (x + 18, y - 1),
            )?;
        }
        area.present()
    };
    drawn().map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn colour(mode: Mode) -> RGBColor {
    let known = COLOURS.into_iter().find(|(known, _)| *known == mode);
    known.map_or(BLACK, |(_, colour)| colour)
}

/// A logarithmic axis with a line at each power of ten.
#[derive(Clone, Debug)]
struct Decades {
    low: f64,
    high: f64,
}

impl Ranged for Decades {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        limit.0 + (f64::from(limit.1 - limit.0) * share) as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let mut points = vec![self.low];
        while let Some(last) = points.last().filter(|last| **last * 1.001 < self.high) {
            points.push(last * 10.0);
        }
        points
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Decades {
    fn format(value: &f64) -> String {
        let digits = if *value >= 1.0 { 0 } else { (-value.log10()).round() as usize };
        format!("{value:.digits$}")
    }
}

fn decade_below(value: f64) -> f64 {
    10_f64.powf((value * 0.999).log10().floor())
}

fn decade_above(value: f64) -> f64 {
    10_f64.powf((value * 1.001).log10().ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_line_at_each_power_of_ten() {
        let axis = Decades { low: decade_below(0.02), high: decade_above(30.0) };
        let points = axis.key_points(12);
        let shown: Vec<_> = points.iter().map(Decades::format).collect();
        assert_eq!(shown, ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!((axis.map(&1.0, (0, 400)), axis.map(&100.0, (0, 400))), (200, 400));
    }
}
