/** A column is at least so wide, in characters. */
const LEAST_WIDTH = 10;

/**
 * A result as qadmin prints it: a title, columns padded to their widest value plus two, a ruler, a blank line. NULL is
 * `None`. The last column is not padded.
 */
export function formatRows(
  title: string | undefined,
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): string {
  const cells = rows.map((row) => row.map((value) => value ?? 'None'));
  const widths = columns.map(
    (column, i) => Math.max(LEAST_WIDTH, column.length, ...cells.map((row) => row[i]!.length)) + 2,
  );
  const line = (values: readonly string[]) =>
    values.map((value, i) => (i === values.length - 1 ? value : value.padEnd(widths[i]!))).join('');
  const ruler = line(widths.map((width) => '-'.repeat(width - 2)));
  return `${[...(title === undefined ? [] : [title]), line(columns), ruler, ...cells.map(line)].join('\n')}\n\n`;
}
