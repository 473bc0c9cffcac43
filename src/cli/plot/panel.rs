//! A small picture for a page that has its own colours: lines over the sizes of the table.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{FONT, register_font};

/// Size of the picture in pixels; a page shows it as large as it likes.
const SIZE: (u32, u32) = (400, 300);
/// Size of its letters, as plotters counts it.
const LETTERS: i32 = 17;
/// How many colours a page has for lines: `--curve-0` and so on.
const CURVES: u8 = 4;
/// A stand-in for the colour of the page's text.
const TEXT: RGBColor = RGBColor(0, 0, 0);
/// A stand-in for that of what is less important.
const MUTED: RGBColor = RGBColor(0, 0, 1);
/// A stand-in for that of thin lines.
const THIN: RGBColor = RGBColor(0, 0, 2);

/// What is drawn.
pub(in crate::cli) struct Panel<'a> {
    /// The lines; each has a word at its end.
    pub(in crate::cli) lines: Vec<Line>,
    /// Bits that are marked.
    pub(in crate::cli) marks: &'a [u8],
    /// The base of the scale: values stand at its powers.
    pub(in crate::cli) base: f64,
    /// How a value is written.
    pub(in crate::cli) value: &'a dyn Fn(f64) -> String,
}

/// One line.
pub(in crate::cli) struct Line {
    /// The word at its end.
    pub(in crate::cli) label: String,
    /// Bits and values, which are above nought.
    pub(in crate::cli) points: Vec<(u8, f64)>,
}

/// Returns the picture as an SVG element, in the colours of the page that it becomes part of: `currentColor`, and the variables of its
/// style sheet.
///
/// # Errors
/// The font that comes with the program is damaged.
pub(in crate::cli) fn svg(panel: &Panel<'_>) -> io::Result<String> {
    register_font()?;
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), panel)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut colours =
        vec![(TEXT, "currentColor".to_owned()), (MUTED, "var(--muted)".into()), (THIN, "var(--line)".into())];
    colours.extend((0..CURVES).map(|curve| (colour(curve), format!("var(--curve-{curve})"))));
    for (RGBColor(red, green, blue), name) in colours {
        text = text.replace(&format!("\"#{red:02X}{green:02X}{blue:02X}\""), &format!("\"{name}\""));
    }
    // What it shows stands beside it as a table.
    Ok(text.replacen("<svg ", "<svg aria-hidden=\"true\" ", 1))
}

/// A stand-in for the colour of a line.
fn colour(curve: u8) -> RGBColor {
    RGBColor(1, 0, curve % CURVES)
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panel: &Panel<'_>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let first = points().map(|(bits, _)| *bits).min().unwrap_or(8);
    let last = points().map(|(bits, _)| *bits).max().unwrap_or(20);
    let lowest = points().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let highest = points().map(|(_, value)| *value).fold(0.0, f64::max);
    // A little below, so that a power of the base that is almost reached has its line.
    let (lowest, highest) = if lowest < highest { (lowest * 0.9, highest * 1.15) } else { (1.0, 10.0) };
    let (left, right) = (f64::from(first), f64::from(last));
    // Room for the words at the ends of the lines.
    let end = right + (right - left).max(1.0) * 0.2;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(left..end, (lowest..highest).log_scale().base(panel.base))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("bits")
        .x_labels(usize::from(last - first) / 2 + 1)
        .x_label_formatter(&|bits| if *bits > right { String::new() } else { format!("{bits:.0}") })
        .y_labels(7)
        .y_label_formatter(&|value| (panel.value)(*value))
        .axis_style(MUTED)
        .bold_line_style(THIN)
        .light_line_style(TRANSPARENT)
        .label_style((FONT, LETTERS).into_font().color(&TEXT))
        .axis_desc_style((FONT, LETTERS).into_font().color(&TEXT))
        .draw()?;
    for mark in panel.marks {
        let bits = f64::from(*mark);
        let line = DashedLineSeries::new([(bits, lowest), (bits, highest)], 5, 4, MUTED.stroke_width(1));
        chart.draw_series(line)?;
    }
    for (line, number) in panel.lines.iter().zip(0..) {
        let colour = colour(number);
        let points = || line.points.iter().map(|(bits, value)| (f64::from(*bits), *value));
        chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
        let marked = line.points.iter().filter(|(bits, _)| panel.marks.contains(bits));
        let dots = marked.map(|(bits, value)| Circle::new((f64::from(*bits), *value), 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    // Words that would stand on each other are moved apart.
    let mut ends: Vec<_> = panel
        .lines
        .iter()
        .zip(0..)
        .filter_map(|(line, number)| Some((line, colour(number), line.points.last().copied()?)))
        .map(|(line, colour, (bits, value))| {
            let point = (f64::from(bits), value);
            (chart.backend_coord(&point).1, point, &line.label, colour)
        })
        .collect();
    ends.sort_by_key(|(height, ..)| std::cmp::Reverse(*height));
    let mut free = i32::MAX;
    for (height, point, label, colour) in ends {
        let at = height.min(free);
        free = at - LETTERS;
        let style = (FONT, LETTERS).into_font().color(&colour);
        let word = EmptyElement::at(point) + Text::new(label.clone(), (7, at - height - LETTERS / 2), style);
        chart.draw_series([word])?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_has_the_colours_of_its_page_and_what_it_says_is_escaped() {
        let lines = vec![
            Line { label: "<1M>".into(), points: vec![(8, 1.0), (20, 100.0)] },
            Line { label: "10M".into(), points: vec![(8, 10.0), (20, 1000.0)] },
        ];
        let svg = svg(&Panel { lines, marks: &[20], base: 10.0, value: &|value| format!("{value}") }).unwrap();
        assert!(svg.starts_with("<svg aria-hidden"), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("&lt;1M&gt;") && !svg.contains("<1M>"));
        for colour in ["currentColor", "var(--muted)", "var(--line)", "var(--curve-0)", "var(--curve-1)"] {
            assert!(svg.contains(&format!("\"{colour}\"")), "{colour}: {svg}");
        }
        assert!(!svg.contains("\"#"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
