//! Spreadsheets: each sheet a heading, each row a line.

use std::io::Cursor;

use calamine::{Data, Ods, Reader, SheetType, Xlsx};

use super::archive::Archive;
use super::table::Table;
use super::{Builder, Extracted, Refusal};

/// The most columns of a sheet, as Excel and LibreOffice have them.
const MAX_COLUMNS: u32 = 16_384;

pub fn extract(bytes: &[u8]) -> Result<Extracted, Refusal> {
    let archive = Archive::open(bytes)?;
    let open_document = archive.names().any(|name| name == "content.xml");
    // Its reader unpacks as much as there is.
    archive.check()?;
    let mut out = Builder::default();
    match open_document {
        true => open(bytes, &mut out)?,
        false => excel(bytes, &mut out)?,
    }
    out.finish()
}

/// Cells one after the other: a sheet may say that it is as large as it likes.
fn excel(bytes: &[u8], out: &mut Builder) -> Result<(), Refusal> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(Refusal::malformed)?;
    let sheets = book.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
    for name in names {
        title(&name, out);
        let mut table = Table::default();
        let (mut present, mut row) = (0, Vec::new());
        let mut cells = book.worksheet_cells_reader(&name).map_err(Refusal::malformed)?;
        while let Some(cell) = cells.next_cell().map_err(Refusal::malformed)? {
            let (number, column) = cell.get_position();
            if column >= MAX_COLUMNS {
                let many = format!("sheet `{name}` has more than {MAX_COLUMNS} columns");
                return Err(Refusal::TooLarge(many));
            }
            if number != present {
                table.row(std::mem::take(&mut row), out);
                present = number;
            }
            row.resize(row.len().max(column as usize + 1), String::new());
            row[column as usize] = text(&cell.get_value().clone().into());
        }
        table.row(row, out);
        table.end(out);
    }
    Ok(())
}

fn open(bytes: &[u8], out: &mut Builder) -> Result<(), Refusal> {
    let mut book: Ods<_> = Ods::new(Cursor::new(bytes)).map_err(Refusal::malformed)?;
    for (name, range) in book.worksheets() {
        title(&name, out);
        let mut table = Table::default();
        for row in range.rows() {
            table.row(row.iter().map(text).collect(), out);
        }
        table.end(out);
    }
    Ok(())
}

fn title(name: &str, out: &mut Builder) {
    out.end();
    out.say(name);
    out.heading(1);
}

fn text(cell: &Data) -> String {
    match cell {
        Data::DateTime(moment) if moment.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        other => other.to_string(),
    }
}
