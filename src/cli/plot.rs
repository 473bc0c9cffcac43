//! Pictures. The only user of plotters; the font is built in, so a machine without fonts will do.

pub(super) mod panel;
pub(super) mod sizing;

use std::io;

use plotters::style::FontStyle;

/// The name under which the built-in font is registered, and which SVG asks of whoever shows it.
const FONT: &str = "sans-serif";

/// Registers the font: SVG names it and leaves its shapes to whoever shows it, but words must be measured for that, too.
fn register_font() -> io::Result<()> {
    // This fails only for what is no font.
    plotters::style::register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| io::Error::other("the built-in font is damaged"))
}
