//! A plot of the time that operations take over how much is live.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

const WIDTH: u32 = 1_100;
const HEIGHT: u32 = 800;
/// The operations' names stand to the right of the lines.
const LEGEND: u32 = 260;

/// A line: a name, and times over sizes.
pub type Line<'a> = (&'a str, Vec<(f64, f64)>);

/// Draws all lines on logarithmic axes.
pub fn draw(file: &Path, title: &str, lines: &[Line<'_>]) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let sizes = range(points().map(|point| point.0));
    let times = range(points().map(|point| point.1));
    let area = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_right(LEGEND)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((sizes.0..sizes.1).log_scale(), (times.0 * 0.8..times.1 * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(4)
        .x_label_formatter(&|size| format!("{size:.0}"))
        .y_label_formatter(&|time| format!("{time:.0}"))
        .x_desc("how much is live")
        .y_desc("ns an operation")
        .draw()?;
    for (at, (name, points)) in lines.iter().enumerate() {
        let color =
            HSLColor(at as f64 * 0.618_034 % 1.0, 0.8, if at % 2 == 0 { 0.35 } else { 0.55 }).to_rgba();
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
        let (x, y) = ((WIDTH - LEGEND + 20) as i32, 40 + at as i32 * 22);
        area.draw(&PathElement::new([(x, y + 6), (x + 20, y + 6)], color.stroke_width(2)))?;
        area.draw(&Text::new((*name).to_owned(), (x + 28, y), ("sans-serif", 14)))?;
    }
    area.present()?;
    Ok(())
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| (low.min(value), high.max(value)))
}
