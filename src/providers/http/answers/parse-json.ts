/**
 * Parses JSON of any size without blocking the event loop. A text that is longer than a page of the documents is cut at
 * the commas of its lists and parsed in pieces. (`@streamparser/json` does this for any JSON, and takes five times as long.)
 */
import { turn } from '../../../base/event-loop-turns.js';

/** Characters. A text up to this long is parsed in one call, which takes some 10 ms. */
export const parsedAtOnce = 1024 * 1024;
/** Characters in one piece of a longer text. To parse a piece takes less than a ms. */
const pieceLength = 64 * 1024;

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Rejects with `SyntaxError`, also if one entry of a long text is itself longer than 1 MiB. */
export async function parseJson(given: string): Promise<unknown> {
  // RFC 8259, 8.1: a byte order mark may be ignored.
  const text = given.startsWith('\uFEFF') ? given.slice(1) : given;
  if (text.length <= parsedAtOnce) return JSON.parse(text);
  return await new ListSplitter(text).parse();
}

/**
 * Parses the lists of a text separately from the rest. The text is one list, or one object with lists among its values.
 */
class ListSplitter {
  readonly #text: string;
  readonly #lists: unknown[][] = [];
  /** The text without the entries of the lists: `[n]` stands for `#lists[n]`. */
  #skeleton = '';
  /** The text before this index is already in `#skeleton` or in a list. */
  #consumed = 0;
  #isObject = false;
  #depth = 0;
  /** The list that is being parsed, and the depth of its entries. */
  #list: unknown[] | null = null;
  #listDepth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  async parse(): Promise<unknown> {
    const text = this.#text;
    let yieldedAt = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === quote) at = this.#endOfString(at);
      else if (code === openBracket || code === openBrace) this.#onOpen(at, code);
      else if (code === closeBracket || code === closeBrace) this.#onClose(at);
      else if (code === comma && this.#isBetweenEntries() && at - this.#consumed >= pieceLength) this.#parseEntries(at);
      if (at - yieldedAt < pieceLength) continue;
      yieldedAt = at;
      await turn();
    }
    this.#appendSkeleton(text.length);
    return this.#reassemble(JSON.parse(this.#skeleton));
  }

  #endOfString(from: number): number {
    const text = this.#text;
    for (let at = from + 1; ; at++) {
      at = text.indexOf('"', at);
      if (at < 0) throw new SyntaxError('a string without an end');
      let escapes = 0;
      while (text.charCodeAt(at - 1 - escapes) === backslash) escapes++;
      if (escapes % 2 === 0) return at;
    }
  }

  #isBetweenEntries(): boolean {
    return this.#list !== null && this.#depth === this.#listDepth;
  }

  #onOpen(at: number, code: number): void {
    this.#depth++;
    if (this.#depth === 1) this.#isObject = code === openBrace;
    if (code !== openBracket || this.#list !== null) return;
    if (this.#depth !== (this.#isObject ? 2 : 1)) return;
    this.#appendSkeleton(at + 1);
    this.#skeleton += this.#lists.length;
    this.#list = [];
    this.#lists.push(this.#list);
    this.#listDepth = this.#depth;
  }

  #onClose(at: number): void {
    if (this.#list !== null && this.#isBetweenEntries()) {
      // An entry must follow each comma. A list without a comma may be empty.
      if (this.#list.length === 0 || this.#text.slice(this.#consumed, at).trim() !== '') this.#parseEntries(at);
      else throw new SyntaxError('a comma before the end of a list');
      this.#consumed = at;
      this.#list = null;
      this.#listDepth = 0;
    }
    this.#depth--;
  }

  /** Parses the entries up to `at`, and skips the comma there. */
  #parseEntries(at: number): void {
    if (at - this.#consumed > parsedAtOnce) throw new SyntaxError('an entry of unreasonable size');
    for (const entry of JSON.parse(`[${this.#text.slice(this.#consumed, at)}]`)) this.#list?.push(entry);
    this.#consumed = at + 1;
  }

  /** Adds the text up to `end`, which is outside of lists, to the skeleton. */
  #appendSkeleton(end: number): void {
    this.#skeleton += this.#text.slice(this.#consumed, end);
    this.#consumed = end;
    if (this.#skeleton.length > parsedAtOnce) throw new SyntaxError('more beside its lists than in a page');
  }

  /** Puts the lists back in place of their numbers. */
  #reassemble(skeleton: unknown): unknown {
    const list = (value: unknown): unknown => (Array.isArray(value) ? this.#lists[value[0] as number] : value);
    if (Array.isArray(skeleton) || typeof skeleton !== 'object' || skeleton === null) return list(skeleton);
    return Object.fromEntries(Object.entries(skeleton).map(([key, value]) => [key, list(value)]));
  }
}
