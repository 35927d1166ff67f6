/** A manual page as data, and its two forms: roff for `man`(1), and text for a terminal. */

/** A paragraph, in which `x` marks typed text; a list; or lines that stay as they are. */
export type Block =
  | string
  | { readonly items: readonly (readonly [term: string, text: string])[] }
  | { readonly code: string };

export interface Section {
  readonly title: string;
  /** The section belongs to the one before. */
  readonly isSub?: boolean;
  readonly blocks: readonly Block[];
}

export interface Page {
  readonly name: string;
  readonly section: 1 | 5 | 8;
  readonly version: string;
  /** The purpose in a few words. */
  readonly purpose: string;
  readonly sections: readonly Section[];
}

/** In the macros of man(7). Without a date: the same source makes the same bytes. */
export function renderRoff({ name, section, version, purpose, sections }: Page): string {
  const lines = [
    `.TH ${name.toUpperCase()} ${section} "" "syncmount ${version}"`,
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(purpose)}`,
  ];
  for (const { title, isSub, blocks } of sections) {
    lines.push(isSub ? `.SS "${escaped(title)}"` : `.SH ${escaped(title).toUpperCase()}`);
    for (const block of blocks) {
      if (typeof block === 'string') lines.push('.PP', marked(block));
      else if ('code' in block) lines.push('.PP', '.nf', ...block.code.split('\n').map(escaped), '.fi');
      else for (const [term, text] of block.items) lines.push('.TP', `\\fB${escaped(term)}\\fR`, marked(text));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A text that roff prints as it is: groff(7) takes these characters for its own, or prints others in their place. */
function escaped(text: string): string {
  const special: Readonly<Record<string, string>> = {
    '\\': '\\e',
    '-': '\\-',
    '~': '\\(ti',
    '^': '\\(ha',
    '"': '\\(dq',
    "'": '\\(aq',
    '`': '\\(ga',
  };
  return text.replace(/[\\\-~^"'`]/g, (character) => special[character] ?? character).replace(/^\./, '\\&.');
}

function marked(text: string): string {
  return text
    .split(/`([^`]*)`/)
    .map((part, index) => (index % 2 === 0 ? escaped(part) : `\\fB${escaped(part)}\\fR`))
    .join('');
}

/** The columns of a text. */
const WIDTH = 80;

export function renderText({ name, purpose, sections }: Page): string {
  return `NAME\n    ${name} - ${purpose}\n\n${renderSections(sections)}`;
}

export function renderSections(sections: readonly Section[]): string {
  const lines: string[] = [];
  for (const { title, isSub, blocks } of sections) {
    lines.push('', isSub ? `  ${title}` : title.toUpperCase());
    for (const [index, block] of blocks.entries()) {
      if (typeof block === 'string') lines.push(...(index > 0 ? [''] : []), ...wrapped(block.replaceAll('`', ''), 4));
      else if ('code' in block) lines.push(...block.code.split('\n').map((line) => `    ${line}`.trimEnd()));
      else for (const [term, text] of block.items) lines.push(`    ${term}`, ...wrapped(text.replaceAll('`', ''), 8));
    }
  }
  return `${lines.slice(1).join('\n')}\n`;
}

function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].map((one) => ' '.repeat(indent) + one);
}
