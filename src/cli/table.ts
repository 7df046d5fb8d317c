/** Tables for people: columns as wide as their content, two blanks between them, nothing where nobody has anything. */
import { styleText } from 'node:util';
import { harmless } from './harmless.ts';

export type Style = 'green' | 'yellow' | 'red' | 'dim' | 'bold';

export interface Column<T> {
  readonly title: string;
  /** Text of a cell; '' for nothing. */
  readonly cell: (row: T) => string;
  readonly style?: (row: T) => Style | undefined;
  readonly align?: 'right';
}

/** Not counted: combining marks. Formats and controls are escaped before. */
const zeroWidth = /\p{M}/u;
/** East Asian wide and full width, and what is shown as an emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** Columns of a terminal that the text takes. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += zeroWidth.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

/** Colours on a terminal only, and never when NO_COLOR is set. */
export function paint(style: Style | undefined, text: string): string {
  return style === undefined ? text : styleText(style, text, { stream: process.stdout });
}

/** The lines of a table, with its heading; a column that has no cell with anything in it is left out. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const filled = columns
    .map((column) => {
      const cells = rows.map((row) => harmless(column.cell(row)));
      const width = cells.reduce(widest, displayWidth(column.title));
      return { column, cells, width };
    })
    .filter(({ cells }) => cells.some((cell) => cell !== ''));
  const line = (cell: (at: number) => { text: string; style: Style | undefined }): string => {
    const last = filled.length - 1;
    return filled
      .map(({ column, width }, at) => {
        const { text, style } = cell(at);
        const blanks = ' '.repeat(width - displayWidth(text));
        if (column.align === 'right') return blanks + paint(style, text);
        return at === last ? paint(style, text) : paint(style, text) + blanks;
      })
      .join('  ')
      .trimEnd();
  };
  return [
    line((at) => ({ text: filled[at]?.column.title ?? '', style: 'bold' })),
    ...rows.map((row, index) =>
      line((at) => ({ text: filled[at]?.cells[index] ?? '', style: filled[at]?.column.style?.(row) })),
    ),
  ];
}

function widest(width: number, cell: string): number {
  return Math.max(width, displayWidth(cell));
}
