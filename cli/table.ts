// Columns as kubectl prints them: upper-case titles, three spaces between, as wide as the widest cell.

export interface Column<Row> {
  title: string;
  value(row: Row): string;
  /** The cell as it is shown, given its text; used for colours, which have no width. */
  paint?(text: string, row: Row): string;
}

/** A table that keeps its widths, so that rows which come later line up with those before. */
export interface Table<Row> {
  /** The title line. Widths are those of the titles and all rows seen so far, so pass the first rows to `lines` first. */
  header(): string;
  lines(rows: readonly Row[]): string[];
}

const gap = 3;

export function createTable<Row>(columns: readonly Column<Row>[]): Table<Row> {
  const widths = columns.map((column) => column.title.length);
  const join = (cells: { text: string; shown: string }[]): string =>
    cells
      .map(({ text, shown }, index) =>
        index === cells.length - 1 ? shown : shown + ' '.repeat((widths[index] ?? 0) - text.length + gap),
      )
      .join('')
      .trimEnd();
  return {
    header: () => join(columns.map(({ title }) => ({ text: title, shown: title }))),
    lines(rows) {
      const texts = rows.map((row) => columns.map((column) => oneLine(column.value(row))));
      for (const cells of texts) {
        cells.forEach((text, index) => {
          widths[index] = Math.max(widths[index] ?? 0, text.length);
        });
      }
      return texts.map((cells, rowIndex) =>
        join(
          cells.map((text, index) => {
            const paint = columns[index]?.paint;
            return { text, shown: paint ? paint(text, rows[rowIndex] as Row) : text };
          }),
        ),
      );
    },
  };
}

/** The whole table as lines, title first. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const table = createTable(columns);
  const lines = table.lines(rows);
  return [table.header(), ...lines];
}

/** Text from elsewhere on one line, without the control characters that could steer a terminal. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text
    .replace(/:\s*\n\s*/g, ': ')
    .replace(/\s*\n\s*/g, '; ')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
    .trim();
}
