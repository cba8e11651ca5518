/** Lines of CSV as RFC 4180 has them, with \n between lines: what needs quotes gets them, and nothing else changes. */

export function csvLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map((cell) => quote(String(cell ?? ""))).join(",")}\n`;
}

const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
