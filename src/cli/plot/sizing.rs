//! The curve of `kbuild size` as a picture.

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{FONT, register_font};
use crate::ipvs::size::Sizing;
use crate::sys::files;

/// Size of the picture in pixels.
const SIZE: (u32, u32) = (960, 600);
const EXPECTED: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const ACTUAL: RGBColor = RGBColor(0xc8, 0x40, 0x20);
const MEMORY: RGBColor = RGBColor(0x80, 0x80, 0x80);
const ADVICE: RGBColor = RGBColor(0x2a, 0x8a, 0x3a);

/// Draws the curve into a file whose name tells how.
///
/// # Errors
/// The file cannot be written.
pub(in crate::cli) fn write(path: &Path, sizing: &Sizing) -> io::Result<()> {
    register_font()?;
    let bytes = if path.extension().is_some_and(|ending| ending == "png") { png(sizing)? } else { svg(sizing)? };
    files::replace_text(path, &bytes)
}

fn svg(sizing: &Sizing) -> io::Result<Vec<u8>> {
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), sizing)?;
    Ok(text.into_bytes())
}

fn png(sizing: &Sizing) -> io::Result<Vec<u8>> {
    let (width, height) = SIZE;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    draw(&BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area(), sizing)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(io::Error::other)?;
    Ok(bytes)
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, sizing: &Sizing) -> io::Result<()> {
    curve(area, sizing).map_err(|error| io::Error::other(error.to_string()))
}

fn curve<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    sizing: &Sizing,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let bits = |row: &crate::ipvs::size::Row| f64::from(row.bits.get());
    let rows = &sizing.rows;
    let first = rows.first().map_or(8.0, bits);
    let last = rows.last().map_or(20.0, bits);
    let most = rows.iter().map(|row| row.actual.as_ref().map_or(row.look_up, |actual| actual.look_up.max(row.look_up)));
    let most = most.fold(2.0, f64::max);
    let kib = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)).max(1.0);
    let tables =
        (rows.first().map_or(1.0, |row| kib(row.table_bytes)), rows.last().map_or(2.0, |row| kib(row.table_bytes)));

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("IPVS connection table for {} connections", sizing.connections), (FONT, 22))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .right_y_label_area_size(84)
        .build_cartesian_2d(first..last, (1.0..most * 1.2).log_scale())?
        .set_secondary_coord(first..last, (tables.0..tables.1.max(tables.0 * 2.0)).log_scale());
    chart
        .configure_mesh()
        .x_desc("bits (2^bits buckets)")
        .y_desc("entries per look-up")
        .x_labels(rows.len().max(2))
        .x_label_formatter(&|bits| format!("{bits:.0}"))
        .y_label_formatter(&|look_up| format!("{look_up:.1}"))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .light_line_style(WHITE)
        .draw()?;
    chart
        .configure_secondary_axes()
        .y_desc("memory of the table")
        .y_label_formatter(&|kib| {
            if *kib < 1024.0 { format!("{kib:.0} KiB") } else { format!("{:.0} MiB", kib / 1024.0) }
        })
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .draw()?;
    chart
        .draw_secondary_series(LineSeries::new(rows.iter().map(|row| (bits(row), kib(row.table_bytes))), MEMORY))?
        .label("memory of the table")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], MEMORY));
    chart
        .draw_series(LineSeries::new(rows.iter().map(|row| (bits(row), row.look_up)), EXPECTED.stroke_width(2)))?
        .label("look-up, uniform hashing")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], EXPECTED.stroke_width(2)));
    let real: Vec<_> = rows.iter().filter_map(|row| Some((bits(row), row.actual.as_ref()?.look_up))).collect();
    if !real.is_empty() {
        chart
            .draw_series(real.into_iter().map(|point| Circle::new(point, 4, ACTUAL.filled())))?
            .label("look-up, these connections")
            .legend(|(x, y)| Circle::new((x + 10, y), 4, ACTUAL.filled()));
    }
    let advice = f64::from(sizing.advice.bits.get());
    chart
        .draw_series(LineSeries::new([(advice, 1.0), (advice, most * 1.2)], ADVICE.stroke_width(2)))?
        .label(format!("recommended: {} bits", sizing.advice.bits))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], ADVICE.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .background_style(WHITE.mix(0.85))
        .border_style(MEMORY)
        .label_font((FONT, 14))
        .draw()?;
    area.present()
}
