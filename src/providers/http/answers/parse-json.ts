/**
 * JSON of any size without holding up the event loop. What is larger than a page of the documents is cut at the commas of
 * its list and parsed in pieces. (`@streamparser/json` does this for any form of JSON and takes five times as long.)
 */
import { turn } from '../../../base/turns.js';

/** Characters that `JSON.parse` takes at once: some 10 ms. */
export const parsedAtOnce = 1024 * 1024;
/** Characters of a piece of a longer text: less than a ms. */
const pieceLength = 64 * 1024;

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** The value of a JSON text. Rejects with `SyntaxError`, also where one entry of a long text is itself longer than 1 MiB. */
export async function parseJson(text: string): Promise<unknown> {
  if (text.length <= parsedAtOnce) return JSON.parse(text);
  return await new Cutter(text).parse();
}

/** Cuts the lists out of a text: one that is all of it, or values of the one object that is. */
class Cutter {
  readonly #text: string;
  readonly #lists: unknown[][] = [];
  /** The text without what is in the lists: each is `[n]` instead. */
  #rest = '';
  /** Up to here the text is in `#rest` or in a list. */
  #taken = 0;
  #isObject = false;
  #depth = 0;
  /** The list that is being cut, and at which depth its entries are. */
  #list: unknown[] | null = null;
  #listDepth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  async parse(): Promise<unknown> {
    const text = this.#text;
    let looked = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === quote) at = this.#endOfString(at);
      else if (code === openBracket || code === openBrace) this.#opens(at, code);
      else if (code === closeBracket || code === closeBrace) this.#closes(at);
      else if (code === comma && this.#isBetweenEntries() && at - this.#taken >= pieceLength) this.#cut(at);
      if (at - looked < pieceLength) continue;
      looked = at;
      await turn();
    }
    this.#keep(text.length);
    return this.#whole(JSON.parse(this.#rest));
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

  #opens(at: number, code: number): void {
    this.#depth++;
    if (this.#depth === 1) this.#isObject = code === openBrace;
    if (code !== openBracket || this.#list !== null) return;
    if (this.#depth !== (this.#isObject ? 2 : 1)) return;
    this.#keep(at + 1);
    this.#rest += this.#lists.length;
    this.#list = [];
    this.#lists.push(this.#list);
    this.#listDepth = this.#depth;
  }

  #closes(at: number): void {
    if (this.#list !== null && this.#isBetweenEntries()) {
      // After the last comma something must follow; without any, nothing need.
      if (this.#list.length === 0 || this.#text.slice(this.#taken, at).trim() !== '') this.#cut(at);
      else throw new SyntaxError('a comma before the end of a list');
      this.#taken = at;
      this.#list = null;
      this.#listDepth = 0;
    }
    this.#depth--;
  }

  /** The entries up to here; the comma, where one is there, is passed over. */
  #cut(at: number): void {
    if (at - this.#taken > parsedAtOnce) throw new SyntaxError('an entry of unreasonable size');
    for (const entry of JSON.parse(`[${this.#text.slice(this.#taken, at)}]`)) this.#list?.push(entry);
    this.#taken = at + 1;
  }

  /** Text outside of lists. */
  #keep(end: number): void {
    this.#rest += this.#text.slice(this.#taken, end);
    this.#taken = end;
    if (this.#rest.length > parsedAtOnce) throw new SyntaxError('more beside its lists than in a page');
  }

  /** Lists in the places that stand for them. */
  #whole(rest: unknown): unknown {
    const list = (value: unknown): unknown => (Array.isArray(value) ? this.#lists[value[0] as number] : value);
    if (Array.isArray(rest) || typeof rest !== 'object' || rest === null) return list(rest);
    return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, list(value)]));
  }
}
